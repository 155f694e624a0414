"""The commands export, for programs without this package, and push, for the Hugging Face Hub."""

from pathlib import Path
from typing import Annotated

import typer

from vgae.cli.console import print_json
from vgae.cli.memory import with_limit
from vgae.cli.options import Json, Quiet, RunArgument, announce


@with_limit
def export(
    run: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            "--onnx",
            help=".onnx (ONNX; extra onnx) or .pt2 (torch.export)  [default: RUN/encoder.onnx]",
        ),
    ] = None,
    sparse: Annotated[
        bool,
        typer.Option("--sparse", help="Take features as sparse CSR: x_crow, x_col, x_value."),
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write the encoder of a run as one file for other programs, and check it."""
    from vgae.models.tensors import FORMATS, OPSET
    from vgae.runs.exports import export_run
    from vgae.runs.lifecycle import load_run
    from vgae.runtime.atomic import check_writable
    from vgae.runtime.tables import checked_suffix

    announce(quiet=quiet or as_json)
    path = out or run / "encoder.onnx"
    checked_suffix(path, FORMATS)
    loaded = load_run(run)  # a folder that is no run is the likelier mistake
    check_writable(path)
    found = export_run(loaded, path, sparse=sparse)
    opset = OPSET if path.suffix == ".onnx" else None
    if as_json:
        content = {"path": str(path), "inputs": found.inputs, "outputs": found.outputs}
        print_json({**content, "opset": opset, "difference": found.difference})
        return
    form = "torch.export" if opset is None else f"ONNX, opset {opset}"
    typer.echo(f"{path}: {form}; {', '.join(found.inputs)} -> {', '.join(found.outputs)}")
    if found.difference is None:
        typer.echo("not checked, as onnxruntime is missing: pip install 'vgae[onnx]'")
    else:
        typer.echo(f"checked with the data of the run: largest difference {found.difference:.1e}")


@with_limit
def push(
    run: RunArgument,
    name: Annotated[str, typer.Argument(help="Name on the hub: USER/MODEL.")],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Upload the model of a run, with its card, to the Hugging Face Hub."""
    from vgae.models.hub import check_hub, push_to_hub
    from vgae.runs.lifecycle import load_run

    check_hub(name)
    url = push_to_hub(load_run(run), name, private=private)
    if as_json:
        print_json({"url": url})
    else:
        typer.echo(url)


COMMANDS = (export, push)

"""The commands sample, reconstruct and decode of runs on images."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vgae.cli.console import print_json
from vgae.cli.options import Json
from vgae.errors import UsageError, printable

if TYPE_CHECKING:
    from torch import Tensor

    from vgae.runs.images import ImageRun

_WIDTH, _SHEET = 56, 480  # least width of an image, and of a sheet, in pixels of the file
_IN_ROW = 10  # images above their reconstructions

RunArgument = Annotated[Path, typer.Argument(help="Run folder of images.")]
Number = Annotated[
    int, typer.Option("--number", "-n", min=1, max=10_000, help="Number of images.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the samples.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help=".png for a sheet, .npy for the pixels  [default: in RUN]"),
]


def sample(
    run: RunArgument, number: Number = 100, seed: Seed = 0, out: Out = None, as_json: Json = False
) -> None:
    """Draw images: the mean of p(x | z) for z from the prior."""
    import torch

    from vgae.runtime.streams import stream

    path = out or run / "samples.png"
    loaded = _run(run, path)
    z = torch.randn(number, loaded.recipe.latent_channels, generator=stream(seed, "sample"))
    _write(loaded, _decoded(loaded, z), path, as_json=as_json)


def reconstruct(
    run: RunArgument,
    images: Annotated[
        str | None, typer.Argument(help="File or folder of images  [default: the test images]")
    ] = None,
    number: Number = 10,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Encode images, and decode them again below the originals."""
    import torch

    from vgae.data.named_images import load_images
    from vgae.models.embedding import embed_images as embed

    path = out or run / "reconstructions.png"
    loaded = _run(run, path)
    given = loaded.images.test
    if images is not None:
        other = load_images(images)
        given = torch.cat([other.train, other.val, other.test])
    given = given[:number]
    decoded = _decoded(loaded, embed(loaded.model, given).mu)
    _write(loaded, decoded, path, above=given, as_json=as_json)


def decode(
    run: RunArgument,
    z: Annotated[
        list[str],
        typer.Option(metavar="Z", help="Latent vector, separated by commas; may be repeated."),
    ],
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Decode given latent vectors: the mean of p(x | z) for each."""
    import torch

    path = out or run / "decoded.png"
    loaded = _run(run, path)
    latent = torch.tensor([_vector(text, loaded.recipe.latent_channels) for text in z])
    _write(loaded, _decoded(loaded, latent), path, as_json=as_json)


def _vector(text: str, length: int) -> list[float]:
    """Return the numbers of a latent vector."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != length or not all(map(math.isfinite, values)):
        raise UsageError("Z", f"--z must be {length} finite numbers with commas, got {text!r}.")
    return values


def _run(folder: Path, path: Path) -> "ImageRun":
    """Return a run, after a check that its images can be written."""
    from vgae.runs.images import IMAGES
    from vgae.runtime.tables import check_table

    check_table(path, (".png", ".npy"))
    return IMAGES.load(folder)


def _decoded(run: "ImageRun", z: "Tensor") -> "Tensor":
    from vgae.models.embedding import evaluating

    with evaluating(run.model):
        return run.model.decoder.mean(z)  # pyright: ignore[reportAttributeAccessIssue]


def _write(
    run: "ImageRun",
    images: "Tensor",
    path: Path,
    *,
    as_json: bool,
    above: "Tensor | None" = None,
) -> None:
    """Write images as a sheet, perhaps below others, or as an array, atomically."""
    import numpy as np

    from vgae.runtime.atomic import replacing

    with replacing(path) as temporary:
        if path.suffix == ".npy":
            np.save(temporary, images.numpy(), allow_pickle=False)
        elif above is not None:
            _write_pairs(temporary, above, images, str(run.config["images"]["name"]))
        else:
            from matplotlib.image import imsave

            from vgae.report.figures.sheets import sheet

            tiles = sheet(images, min(len(images), 20))
            scale = max(1, _WIDTH // run.images.shape[-1], math.ceil(_SHEET / tiles.shape[1]))
            tiles = tiles.repeat(scale, axis=0).repeat(scale, axis=1)
            imsave(temporary, tiles, cmap="gray", vmin=0, vmax=1)
    if as_json:
        print_json({"path": str(path), "images": len(images)})
    else:
        typer.echo(f"{path}: {len(images)} image{'s' * (len(images) > 1)}")


def _write_pairs(path: Path, originals: "Tensor", decoded: "Tensor", name: str) -> None:
    """Draw rows of images, each above the row of their reconstructions."""
    import torch

    from vgae.report.figures.fonts import use_fonts
    from vgae.report.figures.sheets import DPI, sheet, sheets_figure

    columns = min(_IN_ROW, len(originals))
    white = originals.new_ones(-len(originals) % columns, *originals.shape[1:])
    rows = (torch.cat([part, white]).split(columns) for part in (originals, decoded))
    sheets = [[sheet(torch.cat(pair), columns)] for pair in zip(*rows, strict=True)]
    title = f"Images of {printable(name)}, above their reconstructions"
    figure = sheets_figure(title, sheets, row_labels=("image", "decoded"))
    use_fonts(figure).savefig(path, dpi=DPI)


COMMANDS: Sequence[Any] = (sample, reconstruct, decode)

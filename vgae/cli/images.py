"""The commands sample, reconstruct and decode of runs on images."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vgae.cli.console import print_json
from vgae.cli.options import Json
from vgae.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from vgae.runs.images import ImageRun

_WIDTH = 56  # minimum width of an image on a sheet, in pixels of the file

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
    """Draw images from the prior: z ~ N(0, I), and the mean of p(x | z)."""
    import torch

    from vgae.runtime.streams import stream

    loaded = _run(run)
    z = torch.randn(number, loaded.recipe.latent_channels, generator=stream(seed, "sample"))
    _write(loaded, _decoded(loaded, z), out or run / "samples.png", as_json=as_json)


def reconstruct(
    run: RunArgument,
    images: Annotated[
        str | None, typer.Argument(help="File or folder of images  [default: the test images]")
    ] = None,
    number: Number = 10,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Encode images and decode their latent means; a sheet shows the originals above."""
    import torch

    from vgae.data.named_images import load_images
    from vgae.models.embedding import embed_images as embed

    loaded = _run(run)
    given = loaded.images.test
    if images is not None:
        other = load_images(images)
        given = torch.cat([other.train, other.val, other.test])
    given = given[:number]
    decoded = _decoded(loaded, embed(loaded.model, given).mu)
    path = out or run / "reconstructions.png"
    both = torch.cat([given, decoded]) if path.suffix == ".png" else decoded
    _write(loaded, both, path, columns=len(given), as_json=as_json)


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

    loaded = _run(run)
    latent = torch.tensor([_vector(text, loaded.recipe.latent_channels) for text in z])
    _write(loaded, _decoded(loaded, latent), out or run / "decoded.png", as_json=as_json)


def _vector(text: str, length: int) -> list[float]:
    """Return the numbers of a latent vector."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != length or not all(map(math.isfinite, values)):
        raise UsageError("Z", f"--z must be {length} finite numbers with commas, got {text!r}.")
    return values


def _run(folder: Path) -> "ImageRun":
    from vgae.runs.images import IMAGES

    return IMAGES.load(folder)


def _decoded(run: "ImageRun", z: "Tensor") -> "Tensor":
    from vgae.models.embedding import evaluating

    with evaluating(run.model):
        return run.model.decoder.mean(z)  # pyright: ignore[reportAttributeAccessIssue]


def _write(
    run: "ImageRun", images: "Tensor", path: Path, *, as_json: bool, columns: int | None = None
) -> None:
    """Write images as a sheet or an array, atomically."""
    import numpy as np

    from vgae.report.figures.sheets import sheet
    from vgae.runtime.atomic import replacing

    if path.suffix not in (".png", ".npy"):
        raise UsageError("EXPORT_FORMAT", f"{path} must end in .png or .npy.")
    with replacing(path) as temporary:
        if path.suffix == ".npy":
            np.save(temporary, images.numpy(), allow_pickle=False)
        else:
            from matplotlib.image import imsave

            scale = max(1, _WIDTH // run.images.shape[-1])
            tiles = sheet(images, columns or min(len(images), 20))
            tiles = tiles.repeat(scale, axis=0).repeat(scale, axis=1)
            imsave(temporary, tiles, cmap="gray", vmin=0, vmax=1)
    if as_json:
        print_json({"path": str(path), "images": len(images)})
    else:
        typer.echo(f"{path}: {len(images)} images")


COMMANDS: Sequence[Any] = (sample, reconstruct, decode)

"""The commands on images: sample, reconstruct and decode; and train, evaluate, embed for them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vgae.cli.console import print_image_end, print_image_run, print_image_scores, print_json
from vgae.cli.options import Json
from vgae.errors import UsageError
from vgae.recipes.images import default_recipe, image_recipe_named

if TYPE_CHECKING:
    from torch import Tensor

    from vgae.runs.images import ImageRun

_WIDTH = 56  # pixels of the file that an image is wide on a sheet, or more

RunArgument = Annotated[Path, typer.Argument(help="Run folder of images.")]
Number = Annotated[int, typer.Option("--number", "-n", min=1, max=10_000, help="How many.")]
Seed = Annotated[int, typer.Option(min=0, help="Of what is drawn.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help=".png for a sheet, .npy for the pixels  [default: in RUN]"),
]


def train_images(
    source: str,
    *,
    model: str | None,
    recipe: str | None,
    settings: Mapping[str, str],
    seed: int,
    device: str,
    deterministic: bool,
    out: Path | None,
    overwrite: bool,
    tensorboard: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train on images and write a run folder: what ``vgae train`` does where they are given."""
    from vgae.data.named_images import load_images
    from vgae.runs.folder import free_path
    from vgae.runs.images import train_image_run

    progress = False if quiet else None
    named = (
        image_recipe_named(recipe)
        if recipe
        else default_recipe(len(load_images(source, progress=progress).train))
    )
    chosen = named.override(settings)
    folder = out or free_path(f"runs/{Path(source).stem}-{chosen.name}")
    run = train_image_run(
        source,
        folder,
        model=model or "vae",  # pyright: ignore[reportArgumentType]
        recipe=chosen,
        seed=seed,
        device=device,
        deterministic=deterministic,
        overwrite=overwrite,
        tensorboard=tensorboard,
        progress=progress,
    )
    _show_run(run, as_json=as_json)


def resume_images(folder: Path, *, as_json: bool, **options: Any) -> None:
    """Go on with a run on images: what ``vgae train --resume`` does for one."""
    from vgae.runs.folder import understood
    from vgae.runs.images import resume_image_run

    run = resume_image_run(folder, **options)
    with understood(folder):
        _show_run(run, as_json=as_json)


def _show_run(run: "ImageRun", *, as_json: bool) -> None:
    """Draw the figures of a run that was just trained, and print what came out."""
    from vgae.report.figures.images import write_image_figures

    if len(run.images.test):
        write_image_figures(run.folder / "figures", run.model, run.images, run.history)
    if as_json:
        print_json({"run": str(run.folder), **run.metrics})
    else:
        print_image_run(run)
        print_image_end(run)


def evaluate_images(folder: Path, *, samples: int, quiet: bool, as_json: bool) -> None:
    """Score the test images of a run anew: what ``vgae evaluate`` does for a run on images."""
    from vgae.runs.images import evaluate_run

    scores = evaluate_run(_run(folder), num_samples=samples, progress=False if quiet else None)
    if as_json:
        print_json({"test": scores})
    else:
        print_image_scores(scores)


def embed_images(folder: Path, out: Path | None, *, as_json: bool) -> None:
    """Write the latent means of the test images: what ``vgae embed`` does for them."""
    from vgae.models.embedding import embed_images as embed
    from vgae.prediction.export import write_embeddings

    run = _run(folder)
    q = embed(run.model, run.images.test)
    path = out or folder / "embeddings.npz"
    write_embeddings(path, range(len(q.mu)), q)
    images, dimensions = q.mu.shape
    if as_json:
        print_json({"path": str(path), "images": images, "dimensions": dimensions})
    else:
        typer.echo(f"{path}: {images} test images, {dimensions} dimensions")


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
    """Encode images and decode their latent means; a sheet has the originals above."""
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
        typer.Option(metavar="Z", help="Latent vector, commas between; may be repeated."),
    ],
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Decode latent vectors of your own: the mean of p(x | z) for each."""
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
    from vgae.runs.images import load_image_run

    return load_image_run(folder)


def _decoded(run: "ImageRun", z: "Tensor") -> "Tensor":
    from vgae.models.embedding import evaluating

    with evaluating(run.model):
        return run.model.decoder.mean(z)  # pyright: ignore[reportAttributeAccessIssue]


def _write(
    run: "ImageRun", images: "Tensor", path: Path, *, as_json: bool, columns: int | None = None
) -> None:
    """Write images as a sheet or as an array, whole or not at all."""
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

"""A run on images: the folder of vgae.runs.folder, with an image model in it."""

import operator
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from vgae.data.catalog import catalogue
from vgae.data.images import Images
from vgae.data.named_images import load_images
from vgae.errors import ArtifactError
from vgae.evaluation.images import evaluate_images
from vgae.models.embedding import embed_images
from vgae.models.files import read_json, save_weights, write_json
from vgae.models.images import (
    ImageModelName,
    check_image_model,
    load_image_model,
    save_image_model,
)
from vgae.prediction.export import write_embeddings
from vgae.recipes.images import ImageRecipe, default_recipe
from vgae.runs.folder import (
    FORMAT,
    history_file,
    locked,
    new_folder,
    read_config,
    read_finished,
    read_history,
    remove_checkpoints,
    remove_stale,
    stored_recipe,
    versions,
)
from vgae.runs.resume import recipe_to_resume, tell_changes
from vgae.runtime.devices import Compute
from vgae.training.history import HistoryRow
from vgae.training.images import prepare
from vgae.training.prepared import FitResult
from vgae.training.tensorboard import check_tensorboard
from vgae.vae import VAE

_CONFIG_KEYS = {"images": dict, "model": str, "recipe": dict, "seed": int}


@dataclass(frozen=True, eq=False, repr=False)
class ImageRun:
    """A finished training on images, as it lies in its folder.

    Attributes:
        folder: Where it lies.
        config: Content of ``config.json``.
        model: The trained model, on the CPU.
        history: One row per epoch.
        metrics: Content of ``metrics.json``.
    """

    folder: Path
    config: dict[str, Any]
    model: VAE
    history: list[HistoryRow]
    metrics: dict[str, Any]

    def __repr__(self) -> str:
        return f"ImageRun({str(self.folder)!r}, {self.recipe.name})"

    @property
    def recipe(self) -> ImageRecipe:
        """What it was trained with."""
        return stored_recipe(ImageRecipe, self.config)

    @cached_property
    def images(self) -> Images:
        """The images, read anew from where the run had them, drawn as its recipe says.

        Raises:
            ArtifactError: If they are no longer the same.
        """
        images = _images_of(self.folder, self.config)
        return images.binarised(self.recipe.binarize, self.config["seed"])


def _images_of(folder: Path, config: dict[str, Any], *, progress: bool | None = None) -> Images:
    """Return the images that a run is of, read anew and compared."""
    source = str(config["images"].get("source"))
    images = load_images(source, progress=progress)
    if images.fingerprint != config["images"].get("fingerprint"):
        raise ArtifactError(
            "DATA_CHANGED",
            f"{source} has not the images that {folder} was trained on; bring those back, or"
            " train anew.",
        )
    return images


def train_image_run(  # noqa: PLR0913
    source: str,
    folder: str | os.PathLike[str],
    *,
    model: ImageModelName = "vae",
    recipe: ImageRecipe | None = None,
    seed: int = 0,
    device: str = "auto",
    deterministic: bool = False,
    num_samples: int = 100,
    overwrite: bool = False,
    tensorboard: bool = False,
    progress: bool | None = None,
) -> ImageRun:
    """Train on images, evaluate on those held out for it, and write the run folder.

    Args:
        source: Name of a data set of images, or path of a file or folder of them.
        folder: New or empty, unless ``overwrite``.
        model: ``"vae"``, or ``"ae"`` for a plain auto-encoder.
        recipe: Settings; those of :func:`vgae.recipes.images.default_recipe` if not given.
        seed: Of the initial weights, the noise, the order of the images and drawn pixels.
        device: See :func:`vgae.fit`.
        deterministic: See :func:`vgae.fit`.
        num_samples: Per test image, for the estimate of log p(x).
        overwrite: See :func:`vgae.runs.graphs.train_run`.
        tensorboard: See :func:`vgae.runs.graphs.train_run`.
        progress: See :func:`vgae.fit`.

    Raises:
        DataError: If the images cannot be read.
        ResourceError: If the folder cannot be written; before any work is done.
        UsageError: If the folder holds something already.
    """
    seed = operator.index(seed)
    images = load_images(source, progress=progress)
    recipe = recipe or default_recipe(len(images.train))
    check_image_model(model)
    torch_device = Compute(device).resolved()
    if tensorboard:
        check_tensorboard()
    config = {
        "format": FORMAT,
        "images": {
            "source": source if source in catalogue() else str(Path(source).resolve()),
            "name": images.name,
            "shape": list(images.shape),
            "num_train": len(images.train),
            "num_val": len(images.val),
            "num_test": len(images.test),
            "fingerprint": images.fingerprint,
        },
        "model": model,
        "recipe": asdict(recipe),
        "seed": seed,
        "device": str(torch_device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    folder = new_folder(Path(folder), overwrite=overwrite)
    write_json(folder / "config.json", config)
    return _trained(
        folder,
        config,
        images,
        recipe,
        num_samples=num_samples,
        device=device,
        deterministic=deterministic,
        tensorboard=tensorboard,
        progress=progress,
    )


def resume_image_run(
    folder: str | os.PathLike[str],
    *,
    changes: Mapping[str, str] | None = None,
    override: bool = False,
    device: str = "auto",
    deterministic: bool = False,
    num_samples: int = 100,
    tensorboard: bool = False,
    progress: bool | None = None,
) -> ImageRun:
    """Go on with an interrupted run on images, as :func:`vgae.runs.graphs.resume_run` does."""
    folder = Path(folder)
    config = read_config(folder, _CONFIG_KEYS)
    recipe = recipe_to_resume(folder, config, ImageRecipe, changes or {}, override=override)
    if recipe is None:
        return load_image_run(folder)
    tell_changes(config, Compute(device).resolved())
    return _trained(
        folder,
        config,
        _images_of(folder, config, progress=progress),
        recipe,
        num_samples=num_samples,
        device=device,
        deterministic=deterministic,
        tensorboard=tensorboard,
        progress=progress,
    )


def _trained(
    folder: Path,
    config: dict[str, Any],
    images: Images,
    recipe: ImageRecipe,
    *,
    num_samples: int,
    tensorboard: bool,
    **options: Any,
) -> ImageRun:
    """Train, or go on training, in a folder that has its configuration, and write the rest."""
    with locked(folder):
        remove_stale(folder)
        with history_file(folder, tensorboard=tensorboard) as write_row:
            prepared = prepare(
                images,
                model=config["model"],
                recipe=recipe,
                seed=config["seed"],
                device=Compute(options["device"], deterministic=options["deterministic"]),
            )
            result = prepared.train(
                on_row=write_row,
                progress=options["progress"],
                checkpoints=folder / "checkpoints",
            )
        run = ImageRun(folder, config, result.model, result.history, {})
        progress = options["progress"]
        metrics = _write_result(run, result, images, num_samples=num_samples, progress=progress)
        remove_checkpoints(folder)
    return replace(run, metrics=metrics)


def _write_result(
    run: ImageRun, result: FitResult, images: Images, **options: Any
) -> dict[str, Any]:
    """Write weights, embeddings and scores; return the scores."""
    folder, recipe = run.folder, run.recipe
    (folder / "checkpoints").mkdir(exist_ok=True)
    # Half a model may be left of a process that was killed while it wrote.
    shutil.rmtree(folder / "model", ignore_errors=True)
    save_weights(folder / "checkpoints" / "best.safetensors", result.best)
    save_weights(folder / "checkpoints" / "last.safetensors", result.last)
    save_image_model(folder / "model", run.config["model"], images.shape, recipe, result.model)
    metrics = {
        "kept": recipe.keep,
        "epoch": result.best_epoch if recipe.keep == "best" else len(result.history),
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "seconds": round(result.seconds, 3),
        "test": evaluate_run(run, **options),
    }
    result.model.cpu()
    q = embed_images(result.model, run.images.test)
    write_embeddings(folder / "embeddings.npz", range(len(images.test)), q)
    # Last: with it the run is complete.
    write_json(folder / "metrics.json", metrics)
    return metrics


def evaluate_run(
    run: ImageRun, *, num_samples: int, progress: bool | None = None
) -> dict[str, Any] | None:
    """Score the test images of a run; ``None`` if there are none."""
    test = run.images.test
    if len(test) == 0:
        return None
    return evaluate_images(
        run.model, test, num_samples=num_samples, seed=run.config["seed"], progress=progress
    ).to_dict()


def load_image_run(folder: str | os.PathLike[str]) -> ImageRun:
    """Bring a run back from its folder.

    Raises:
        ArtifactError: If the folder is not a finished run on images, or a file of it is damaged.
    """
    folder = Path(folder)
    return ImageRun(
        folder=folder,
        config=read_finished(folder, _CONFIG_KEYS),
        model=load_image_model(folder / "model"),
        history=read_history(folder),
        metrics=read_json(folder / "metrics.json"),
    )

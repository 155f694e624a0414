"""A run on images: the folder of vgae.run_folder, with an image model in it."""

import operator
import os
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from vgae.data.catalog import catalogue
from vgae.data.named_images import load_images
from vgae.embedding import embed_images
from vgae.errors import ArtifactError
from vgae.export import write_embeddings
from vgae.history import HistoryRow
from vgae.image_evaluation import evaluate_images
from vgae.image_models import (
    ImageModelName,
    check_image_model,
    load_image_model,
    recipe_from,
    save_image_model,
)
from vgae.image_recipes import ImageRecipe, default_recipe
from vgae.image_training import fit_images
from vgae.images import Images
from vgae.model_files import read_json, save_weights, write_json
from vgae.run_folder import (
    FORMAT,
    history_file,
    new_folder,
    read_config,
    read_history,
    versions,
)
from vgae.train import resolve_device
from vgae.vae import VAE

_CONFIG_KEYS = {"images", "model", "recipe", "seed"}


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
        return recipe_from(self.config["recipe"])

    @cached_property
    def images(self) -> Images:
        """The images, read anew from where the run had them, drawn as its recipe says.

        Raises:
            ArtifactError: If they are no longer the same.
        """
        source = str(self.config["images"]["source"])
        images = load_images(source)
        if images.fingerprint != self.config["images"]["fingerprint"]:
            raise ArtifactError(
                "DATA_CHANGED",
                f"{source} has not the images that {self.folder} was trained on; bring those"
                " back, or train anew.",
            )
        return images.binarised(self.recipe.binarize, self.config["seed"])


def train_image_run(
    source: str,
    folder: str | os.PathLike[str],
    *,
    model: ImageModelName = "vae",
    recipe: ImageRecipe | None = None,
    seed: int = 0,
    device: str = "auto",
    num_samples: int = 100,
    overwrite: bool = False,
    progress: bool | None = None,
) -> ImageRun:
    """Train on images, evaluate on those held out for it, and write the run folder.

    Args:
        source: Name of a data set of images, or path of a file or folder of them.
        folder: New or empty, unless ``overwrite``.
        model: ``"vae"``, or ``"ae"`` for a plain auto-encoder.
        recipe: Settings; those of :func:`vgae.image_recipes.default_recipe` if not given.
        seed: Of the initial weights, the noise, the order of the images and drawn pixels.
        device: See :func:`vgae.fit`.
        num_samples: Per test image, for the estimate of log p(x).
        overwrite: See :func:`vgae.run.train_run`.
        progress: See :func:`vgae.fit`.

    Raises:
        DataError: If the images cannot be read.
        ResourceError: If the folder cannot be written; before any work is done.
        UsageError: If the folder holds something already.
    """
    seed = operator.index(seed)
    images = load_images(source)
    recipe = recipe or default_recipe(len(images.train))
    check_image_model(model)
    torch_device = resolve_device(device)
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
    with history_file(folder) as write_row:
        result = fit_images(
            images,
            model=model,
            recipe=recipe,
            seed=seed,
            device=device,
            on_row=write_row,
            progress=progress,
        )
    (folder / "checkpoints").mkdir()
    save_weights(folder / "checkpoints" / "best.safetensors", result.best)
    save_weights(folder / "checkpoints" / "last.safetensors", result.last)
    save_image_model(folder / "model", model, images.shape, recipe, result.model)
    run = ImageRun(folder, config, result.model, result.history, {})
    metrics = {
        "kept": recipe.keep,
        "epoch": result.best_epoch if recipe.keep == "best" else len(result.history),
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "seconds": round(result.seconds, 3),
        "test": evaluate_run(run, num_samples=num_samples),
    }
    write_json(folder / "metrics.json", metrics)
    result.model.cpu()
    q = embed_images(result.model, run.images.test)
    write_embeddings(folder / "embeddings.npz", range(len(images.test)), q)
    return replace(run, metrics=metrics)


def evaluate_run(run: ImageRun, *, num_samples: int) -> dict[str, Any] | None:
    """Score the test images of a run; ``None`` if there are none."""
    test = run.images.test
    if len(test) == 0:
        return None
    return evaluate_images(
        run.model, test, num_samples=num_samples, seed=run.config["seed"]
    ).to_dict()


def load_image_run(folder: str | os.PathLike[str]) -> ImageRun:
    """Bring a run back from its folder.

    Raises:
        ArtifactError: If the folder is not a finished run on images, or a file of it is damaged.
    """
    folder = Path(folder)
    return ImageRun(
        folder=folder,
        config=read_config(folder, _CONFIG_KEYS),
        model=load_image_model(folder / "model"),
        history=read_history(folder),
        metrics=read_json(folder / "metrics.json"),
    )

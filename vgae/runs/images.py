"""Runs on images."""

import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from vgae.data.catalog import catalogue
from vgae.data.images import Images
from vgae.data.named_images import is_images, load_images
from vgae.errors import ArtifactError
from vgae.evaluation.images import evaluate_images
from vgae.models.embedding import embed_images
from vgae.models.images import load_image_model, save_image_model
from vgae.prediction.export import write_embeddings
from vgae.recipes.base import Training
from vgae.recipes.images import ImageRecipe, default_recipe, image_recipe_named
from vgae.runs.commands import Embedding, EmbeddingOptions, EvaluationOptions
from vgae.runs.folder import Output, stored_recipe
from vgae.runs.kind import Config, FinishedRun, RunKind, Source, files_with
from vgae.runs.lifecycle import train
from vgae.runtime.devices import Compute
from vgae.training.images import prepare
from vgae.training.prepared import PreparedTraining
from vgae.training.trainer import FitResult
from vgae.vae import VAE


@dataclass(frozen=True, eq=False, repr=False)
class ImageRun(FinishedRun):
    """A finished training on images, in its folder."""

    def __repr__(self) -> str:
        return f"ImageRun({str(self.folder)!r}, {self.recipe.name})"

    @property
    def recipe(self) -> ImageRecipe:
        """Recipe of the training."""
        return stored_recipe(ImageRecipe, self.config)

    @cached_property
    def images(self) -> Images:
        """The images, read again from their source and binarised as in the training.

        Raises:
            ArtifactError: If the images have changed.
        """
        images = IMAGES.reopen(self.folder, self.config)
        return images.binarised(self.recipe.binarize, self.config["seed"])


@dataclass(frozen=True)
class ImageRuns(RunKind[ImageRun]):
    """Runs on images.

    Attributes:
        num_samples: Samples per test image in the estimate of log p(x) after training.
    """

    num_samples: int = 100

    name, title, model = "images", "images", "vae"
    keys: ClassVar = {"images": dict, "model": str, "recipe": dict, "seed": int}
    recipe, run = ImageRecipe, ImageRun
    options = ("samples", "cuda_graph")
    files: ClassVar = files_with(
        {
            "metrics.json": "ELBO, log p(x), active dimensions",
            "embeddings.npz": "posterior of each test image",
            "figures/reconstructions.png": "figure: test images and their reconstructions",
            "figures/samples.png": "figure: samples from the prior",
            "figures/interpolation.png": "figure: interpolation between test images",
            "figures/manifold.png": "figure: decoded latent plane",
            "figures/latent.png": "figure: test images in the latent space",
        }
    )
    view = "vgae.report.views:IMAGES"

    def recognises(self, source: str) -> bool:
        """Return whether a name or path is one of images."""
        return is_images(source)

    def label(self, model: str, recipe: Training) -> str:  # noqa: ARG002
        """Return the name of the recipe."""
        return recipe.name

    def named_recipe(self, name: str | None, source: str, *, progress: bool | None) -> ImageRecipe:
        """Return a recipe by name, by default the one for the number of images."""
        if name:
            return image_recipe_named(name)
        return default_recipe(len(load_images(source, progress=progress).train))

    def open(self, source: Source, *, progress: bool | None = None) -> Images:
        """Return the images, before they are binarised."""
        return load_images(source.source, progress=progress)

    def paths(self, source: Source) -> dict[str, str]:
        """Return the absolute path of a file or folder of images."""
        known = source.source in catalogue()
        return {} if known else {"source": str(Path(source.source).resolve())}

    def prepare(
        self, data: Images, *, model: Any, recipe: Any, seed: int, device: Compute
    ) -> PreparedTraining:
        """Return the training."""
        return prepare(data, model=model, recipe=recipe, seed=seed, device=device)

    def describe(
        self, source: Source, data: Images, model: str, prepared: PreparedTraining
    ) -> dict[str, Any]:
        """Return the entries of ``config.json``; the images can be found and verified by them."""
        text = source.source
        return {
            "images": {
                "source": text if text in catalogue() else Path(text).name,
                "name": data.name,
                "shape": list(data.shape),
                "num_train": len(data.train),
                "num_val": len(data.val),
                "num_test": len(data.test),
                "fingerprint": data.fingerprint,
            },
            "model": model,
            "recipe": asdict(prepared.recipe),
            "seed": prepared.seed,
        }

    def write(
        self,
        folder: Path,
        config: Config,
        data: Images,
        result: FitResult,
        *,
        progress: bool | None,
    ) -> dict[str, Any]:
        """Write model and embeddings; return the scores."""
        recipe, seed = stored_recipe(ImageRecipe, config), config["seed"]
        save_image_model(folder / "model", config["model"], data.shape, recipe, result.model)
        test = data.binarised(recipe.binarize, seed).test
        scores = _scores(result.model, test, self.num_samples, seed, progress=progress)
        result.model.cpu()
        q = embed_images(result.model, test)
        write_embeddings(folder / "embeddings.npz", range(len(test)), q)
        return {"test": scores}

    def load_parts(self, folder: Path, unchecked: Collection[str]) -> dict[str, Any]:  # noqa: ARG002
        """Return the model."""
        return {"model": load_image_model(folder / "model")}

    def check_run(self, run: ImageRun, unchecked: Collection[str]) -> None:  # noqa: ARG002
        """Raise ``ArtifactError`` if model and configuration do not belong together."""
        images, encoder = run.config["images"], run.model.encoder
        counts = [images.get(f"num_{part}") for part in ("train", "val", "test")]
        sizes = encoder.latent_channels, [*encoder.shape]  # pyright: ignore
        if any(type(n) is not int or n < 0 for n in counts) or not counts[0]:
            wrong = f"the numbers of its images, {counts!r:.60}, are not valid"
        elif (run.recipe.latent_channels, images.get("shape")) != sizes:
            wrong = "its latent_channels or shape are not those of the model"
        else:
            return
        raise ArtifactError("RUN_CORRUPT", f"{run.folder / 'config.json'}: {wrong}.")

    def attach(self, run: ImageRun, data: Images) -> None:
        """Store the images, binarised."""
        vars(run)["images"] = data.binarised(run.recipe.binarize, run.config["seed"])

    def evaluate(self, run: ImageRun, options: EvaluationOptions) -> dict[str, Any]:
        """Return the scores of the test images; ``None`` if there are none."""
        samples, seed, test = options.samples or 500, run.config["seed"], run.images.test
        return {"test": _scores(run.model, test, samples, seed, progress=options.progress)}

    def embed(self, run: ImageRun, options: EmbeddingOptions) -> Embedding:  # noqa: ARG002
        """Return the embedding of the test images."""
        q = embed_images(run.model, run.images.test)
        return Embedding(q, range(len(q.mu)), "test images")


IMAGES = ImageRuns()


def _scores(
    model: VAE, test: Tensor, num_samples: int, seed: int, *, progress: bool | None
) -> dict[str, Any] | None:
    if len(test) == 0:
        return None
    found = evaluate_images(model, test, num_samples=num_samples, seed=seed, progress=progress)
    return found.to_dict()


def train_image_run(
    source: str, folder: str | os.PathLike[str] | Output, *, num_samples: int = 100, **options: Any
) -> ImageRun:
    """Train on images; see :class:`ImageRuns` and :func:`vgae.runs.lifecycle.train`."""
    return train(replace(IMAGES, num_samples=num_samples), source, folder, **options)

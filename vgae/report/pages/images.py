"""Page of a run on images."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgae.errors import printable
from vgae.gaussian import DiagGaussian
from vgae.models.embedding import parameter_like
from vgae.recipes.images import IMAGE_RECIPES, default_recipe
from vgae.report.figures.images import decoded, write_image_figures
from vgae.report.figures.latent_plane import evenly_spaced, plane_of, posterior_of
from vgae.report.figures.style import CLASS_COLOURS, DARK_CLASS_COLOURS
from vgae.report.pages.frame import minus, packed, render, shown
from vgae.report.pages.image_charts import average_image, charts_of, dimension_table, dimensions_of
from vgae.report.pages.repeating import (
    all_settings,
    duration,
    figure_images,
    folder_files,
    shell_command,
)
from vgae.report.pages.sprites import latent_grid, spaced_sprite, sprite, thumbnails, tiling
from vgae.runs.folder import shown_source, understood
from vgae.runs.images import IMAGES, ImageRun
from vgae.runtime.streams import stream

_MODELS = {"vae": "variational auto-encoder", "ae": "plain auto-encoder"}
_ELBO = "ELBO", "The evidence lower bound: a lower bound of the mean log-probability of an image."
_PLAIN = "Log-likelihood", "Log-likelihood of an image given its latent vector, which is no bound."
_COLUMNS = 12  # images in a row, which a phone can show
_SAMPLES = 72
_DOTS = 5000  # of the map
_DOT_PIXELS = 1 << 22  # of all images of the map
_FIGURES = {
    "training.png": "Training curves",
    "latent.png": "Test images in the latent space",
}


class Shown(NamedTuple):
    """Images of a page, shape ``(n, c, h, w)``, labels, and name: test, validation or training."""

    pixels: Tensor
    labels: Tensor | None
    name: str


def image_page(run: ImageRun) -> str:
    """Return the page of a finished run as self-contained HTML; its images are read again.

    Raises:
        ArtifactError: If a file of the run is damaged, or its images have changed since.
        UsageError: If plotly is not installed.
    """
    with understood(run.folder):
        return _page(run)


def _page(run: ImageRun) -> str:
    seen, recipe, images = shown_images(run), run.recipe, run.images
    metrics, test = run.metrics, run.metrics["test"]
    q = posterior_of(run.model, seen.pixels)
    dimensions = dimensions_of(q)
    drawn, map_note = map_data(run, seen)
    data: dict[str, Any] = {"map": drawn, "explorer": None}
    explorer_sprite = ""
    if q.mu.shape[1] > 1:
        data["explorer"], explorer_sprite = explorer_data(run, q.mu, dimensions.order)
    explorer = data["explorer"]
    pictures = evenly_spaced(seen.pixels, _COLUMNS)
    rebuilt = decoded(run.model, posterior_of(run.model, pictures).mu)
    shape, dtype = (_SAMPLES, recipe.latent_channels), parameter_like(run.model).dtype
    noise = torch.randn(shape, generator=stream(0, "noise"), dtype=dtype)
    charts = charts_of(run.history, metrics["epoch"], run.config["images"]["num_train"], recipe)
    content = {
        "title": f"{printable(images.name)} · {recipe.name} · vgae",
        "name": shown(images.name),
        "model": _MODELS.get(run.config["model"], shown(run.config["model"])),
        "health": [printable(str(finding)) for finding in metrics.get("health", ())],
        "head": headline(run),
        "sizes": [len(part) for part in (images.train, images.val, images.test)],
        "shape": images.shape,
        "recipe": shown(recipe.name),
        "channels": recipe.latent_channels,
        "active": test and _of_all(test["active_units"], recipe.latent_channels),
        "kl": test and test["kl"],
        "time": duration(metrics["seconds"]),
        "kept": f"{metrics['epoch']:,} of {metrics['epochs']:,}",
        "learning": [*charts],
        "seen": seen.name,
        "pictures": spaced_sprite(thumbnails(pictures), _COLUMNS),
        "rebuilt": spaced_sprite(thumbnails(rebuilt), _COLUMNS),
        "samples": spaced_sprite(thumbnails(decoded(run.model, noise)), _COLUMNS),
        "has_prior": isinstance(q, DiagGaussian),
        "dimensions": dimension_table(dimensions),
        "map_note": map_note,
        "map": drawn,
        "explorer": explorer,
        "explorer_sprite": explorer_sprite,
        "settings": settings(run),
        "command": command(run),
        "files": folder_files(run.folder, IMAGES.files),
        "stills": stills(run),
    }
    if dimensions.kl is not None:
        charts["kl-bars"] = dimensions.chart(seen.name)
    files = {"scripts": ["map.js", "image.js"], "styles": ["image.css"]}
    return render("image.html.j2", content, charts=charts, data=data, **files)


def shown_images(run: ImageRun) -> Shown:
    """Return the test images of a run; without any, its validation or training images."""
    images = run.images
    parts = {
        "test": (images.test, images.y_test),
        "validation": (images.val, images.y_val),
        "training": (images.train, images.y_train),
    }
    name, (pixels, labels) = next(part for part in parts.items() if len(part[1][0]))
    return Shown(pixels, labels, name)


def headline(run: ImageRun) -> dict[str, Any] | None:
    """Return the scores with their standard errors, and a sentence that explains them."""
    test = run.metrics["test"]
    if test is None:
        return None
    grey = " As the pixels are grey, it is a score and not a probability." * _has_grey_pixels(run)
    name, text = _PLAIN if run.config["model"] == "ae" else _ELBO
    scores = [_score(name, text + grey, test, "elbo", "one sample per image")]
    if test["log_marginal"] is not None:
        text = (
            "Log-probability of an image, estimated by importance sampling. More samples give a"
            " higher and more accurate estimate; published results use 5,000."
        )
        samples = f"{test['num_samples']:,} samples per image"
        scores.append(_score("log p(x)", text + grey, test, "log_marginal", samples))
    return {"scores": scores, "verdict": verdict(run, average_image(run.images, run.recipe))}


def _score(
    name: str, text: str, test: Mapping[str, Any], key: str, samples: str
) -> dict[str, str]:
    error = test[f"{key}_error"]
    note = "nats per image" + ("" if error is None else f", standard error {error:.2f}")
    return {"name": name, "help": text, "value": _nats(test[key]), "note": f"{note}; {samples}"}


def _nats(value: float) -> str:
    return minus(f"{value:,.1f}")


def verdict(run: ImageRun, simple: float) -> str:
    """Return the test scores in plain words.

    ``simple`` is the log-likelihood of the test images under the average training image.
    """
    test = run.metrics["test"]
    value = test["elbo"] if test["log_marginal"] is None else test["log_marginal"]
    is_plain, is_grey = run.config["model"] == "ae", _has_grey_pixels(run)
    if run.recipe.likelihood == "bernoulli" and not is_plain and not is_grey:
        bits = minus(f"{-value / math.log(2):,.0f}")
        text = (
            f"The model encodes an unseen image in {_nats(-value)} nats ({bits} bits); a baseline"
            f" that predicts the average training image needs {_nats(-simple)}."
        )
    else:
        # The Bernoulli likelihood of a grey pixel is no probability, and so no code length.
        what = "score" if is_grey else "log-density"
        what = "log-likelihood given the latent vector" if is_plain else what
        text = (
            f"The {what} of an unseen image is {_nats(value)} nats, and {_nats(simple)} for a"
            " baseline that predicts the average training image."
        )
    if value <= simple:
        text += " So the model has learned no more than the average image."
    channels, active = test["latent_channels"], test["active_units"]
    if channels == 1:
        return f"{text} It has a single latent dimension{'' if active else ', which is unused'}."
    used = _of_all(active, channels)
    return f"{text} It has {channels:,} latent dimensions, {used} of them in use."


def _of_all(count: int, total: int) -> int | str:
    return "all" if count == total else count or "none"


def _has_grey_pixels(run: ImageRun) -> bool:
    """Return whether the likelihood is one of binary pixels and those of the images are not."""
    pixels = run.images.test
    is_binary = bool(((pixels == 0) | (pixels == 1)).all())
    return run.recipe.likelihood == "bernoulli" and not is_binary


def map_data(run: ImageRun, seen: Shown) -> tuple[dict[str, Any], str]:
    """Return the data of the map of at most 5,000 images, evenly spaced, and a sentence on it."""
    one = thumbnails(seen.pixels[:1])
    most = min(_DOTS, _DOT_PIXELS // math.prod(one.shape[-2:]))
    pixels = thumbnails(evenly_spaced(seen.pixels, most))
    plane = plane_of(posterior_of(run.model, evenly_spaced(seen.pixels, most)))
    points = np.asarray(plane.points, dtype=np.float32)
    low, high = points.min(axis=0), points.max(axis=0)
    half = (high - low) / 2
    half = np.maximum(half.max() if plane.one_scale else half, 1e-9)
    places = ((points - (low + high) / 2) / half).astype(np.float32)
    columns = tiling(len(pixels))
    numbers = torch.arange(1, len(seen.pixels) + 1, dtype=torch.int32)
    drawn: dict[str, Any] = {
        "x": packed(places[:, 0]),
        "y": packed(places[:, 1]),
        "points": packed(points),
        "is_latent": run.recipe.latent_channels == 2,
        "sprite": sprite(pixels, columns),
        "columns": columns,
        "size": list(pixels.shape[-2:]),
        "number": packed(evenly_spaced(numbers, len(pixels)).numpy()),
        "count": len(pixels),
        "colours": CLASS_COLOURS,
        "dark_colours": DARK_CLASS_COLOURS,
    }
    if seen.labels is not None:
        labels = evenly_spaced(seen.labels, most).numpy()
        present = np.unique(labels)
        drawn["label"] = packed(np.searchsorted(present, labels).astype(np.int32))
        drawn["classes"] = ["unknown" if k < 0 else str(k) for k in present.tolist()]
    across, upwards = plane.names
    note = (
        f"{len(pixels):,} of {len(seen.pixels):,} {seen.name} images, {plane.method}."
        f" To the right: {across}. Upwards: {upwards}."
    )
    return drawn, note


def explorer_data(run: ImageRun, mu: Tensor, order: Sequence[int]) -> tuple[dict[str, Any], str]:
    """Return the data of the latent square, and its decoded images as a data URI.

    It lies in the plane of the first two latent dimensions in ``order``; ``mu`` has at least 2.
    """
    axes = (0, 1) if mu.shape[1] == 2 else (order[0], order[1])
    # Without a prior, the images alone determine the size of the square.
    least = 0.0 if run.config["model"] == "ae" else 2.0
    grid = latent_grid(run.model, axes, mu, least)
    about = {
        "axes": [axis + 1 for axis in axes],
        "others": mu.shape[1] - 2,
        "reach": grid.reach,
        "grid": grid.size,
        "size": list(grid.images.shape[-2:]),
    }
    return about, sprite(grid.images, grid.size)


def settings(run: ImageRun) -> list[tuple[str, str]]:
    """Return every setting and version, and the fingerprint of the images."""
    images = run.config["images"]
    fingerprints = {"the images": images["fingerprint"]}
    data = {"source": shown_source(images["source"])}
    return all_settings(run.config, run.recipe, data, fingerprints)


def command(run: ImageRun) -> str:
    """Return the command that repeats the training."""
    config, recipe = run.config, run.recipe
    named = IMAGE_RECIPES.get(recipe.name, default_recipe(config["images"]["num_train"]))
    source = shown_source(config["images"]["source"])
    words = ["vgae", "train", source, "--model", config["model"]]
    words += ["--recipe", named.name, "--seed", config["seed"]]
    return shell_command(words, recipe, named)


def stills(run: ImageRun) -> dict[str, tuple[str, str]]:
    """Return the figures of a run as title and image, drawn again where they are missing."""

    def draw(folder: Path) -> None:
        write_image_figures(folder / "figures", run.model, run.images, run.history)

    tested = len(run.images.test)
    titles = {name: title for name, title in _FIGURES.items() if tested or name != "latent.png"}
    return figure_images(run.folder, titles, draw)

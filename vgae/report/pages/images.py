"""image_page: all that the page of a run on images says, from the top to the bottom."""

import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
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
from vgae.report.pages.frame import image_uri, packed, render, shown
from vgae.report.pages.image_charts import (
    average_image,
    charts_of,
    dimension_table,
    dimensions_of,
)
from vgae.report.pages.repeating import (
    duration,
    folder_files,
    recipe_settings,
    setting,
    shell_command,
)
from vgae.report.pages.sprites import latent_grid, spaced_sprite, sprite, thumbnails, tiling
from vgae.runs.folder import understood
from vgae.runs.images import ImageRun
from vgae.runtime.reading import read_regular
from vgae.runtime.streams import stream

_MODELS = {"vae": "variational auto-encoder", "ae": "plain auto-encoder"}
_COLUMNS = 12  # of a sheet: as many as a telephone can show
_SAMPLES = 72
_DOTS = 5000  # of the map
_DOT_PIXELS = 1 << 22  # of all their images
_FIGURES = {
    "training.png": "How training went",
    "latent.png": "Where images lie in the latent space",
}
_FILES = {
    "config.json": "every setting and version",
    "history.jsonl": "loss, its parts and the validation ELBO, a row for each epoch",
    "metrics.json": "ELBO, log p(x), active dimensions",
    "model/config.json": "what rebuilds the model",
    "model/model.safetensors": "its weights",
    "checkpoints/best.safetensors": "weights of the best epoch",
    "checkpoints/last.safetensors": "weights of the last epoch",
    "embeddings.npz": "mean and variance of each test image's posterior",
    "figures/reconstructions.png": "figure: images and what becomes of them",
    "figures/samples.png": "figure: samples from the prior",
    "figures/interpolation.png": "figure: from one image to another",
    "figures/manifold.png": "figure: the latent plane, decoded",
    **{f"figures/{name}": f"figure: {title.lower()}" for name, title in _FIGURES.items()},
}
_SECTIONS = [
    ("summary", "Summary"),
    ("learning", "Did it learn?"),
    ("quality", "What it makes"),
    ("space", "The space"),
    ("explore", "Move through it"),
    ("repeat", "Repeat it"),
]


class Shown(NamedTuple):
    """The images that a page is about: those held out for test or, without any, others.

    Attributes:
        pixels: Shape ``(n, c, h, w)``.
        labels: Shape ``(n,)``, or ``None``.
        name: ``"test"``, or what they are else.
    """

    pixels: Tensor
    labels: Tensor | None
    name: str


def image_page(run: ImageRun) -> str:
    """Return the page of a run on images, as HTML that needs nothing from anywhere.

    Args:
        run: A finished run; its images are read anew.

    Raises:
        ArtifactError: If a file of the run is damaged, or its images are others now.
        UsageError: If plotly is not installed.
    """
    with understood(run.folder):
        return _page(run)


def _page(run: ImageRun) -> str:
    seen, recipe = shown_images(run), run.recipe
    like = parameter_like(run.model)
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
    noise = torch.randn(
        _SAMPLES, recipe.latent_channels, generator=stream(0, "noise"), dtype=like.dtype
    )
    charts = charts_of(
        run.history, run.metrics["epoch"], run.config["images"]["num_train"], recipe
    )
    content = {
        "title": f"{printable(run.images.name)} · {recipe.name} · vgae",
        "sections": [s for s in _SECTIONS if s[0] != "explore" or explorer],
        "name": shown(run.images.name),
        "model": _MODELS.get(run.config["model"], shown(run.config["model"])),
        "head": headline(run),
        "facts": facts(run),
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
        "files": folder_files(run.folder, _FILES),
        "stills": stills(run),
    }
    if dimensions.kl is not None:
        charts["kl-bars"] = dimensions.chart(seen.name)
    return render(
        "image.html.j2",
        content,
        charts=charts,
        data=data,
        scripts=["map.js", "image.js"],
        styles=["image.css"],
    )


def shown_images(run: ImageRun) -> Shown:
    """Return the test images of a run; without any, those for validation or for training."""
    images = run.images
    parts = {
        "test": (images.test, images.y_test),
        "validation": (images.val, images.y_val),
        "training": (images.train, images.y_train),
    }
    name, (pixels, labels) = next(part for part in parts.items() if len(part[1][0]))
    return Shown(pixels, labels, name)


def headline(run: ImageRun) -> dict[str, Any] | None:
    """Return the scores with their intervals and a sentence that says what they mean."""
    test = run.metrics["test"]
    if test is None:
        return None
    has_prior = run.config["model"] != "ae"
    first = "ELBO" if has_prior else "Log-likelihood"
    grey = run.recipe.likelihood == "bernoulli" and not _is_binary(run.images.test)
    no_code = " As pixels are grey here, it is a score and no probability." if grey else ""
    text = (
        "The evidence lower bound: the log-probability of an image is at least this, on average."
        if has_prior
        else "How well an image is rebuilt from its latent vector; no bound of its probability."
    )
    text += no_code
    scores = [_score(first, text, test["elbo"], test["elbo_error"], "one sample an image")]
    if test["log_marginal"] is not None:
        text = (
            "How probable an image is, log p(x), estimated by importance sampling. More samples"
            " come closer, from below; published figures have 5,000."
        ) + no_code
        samples = f"{test['num_samples']:,} samples an image"
        scores.append(
            _score("log p(x)", text, test["log_marginal"], test["log_marginal_error"], samples)
        )
    return {"scores": scores, "verdict": verdict(run, average_image(run.images, run.recipe))}


def _score(
    name: str, text: str, value: float, error: float | None, samples: str
) -> dict[str, str]:
    note = "nats an image"
    if error is not None:
        note += f", standard error {error:.2f}"
    return {"name": name, "help": text, "value": _minus(value), "note": f"{note}; {samples}"}


def _minus(value: float, digits: int = 1) -> str:
    return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def verdict(run: ImageRun, simple: float) -> str:
    """Say in plain words how good the test scores are.

    Args:
        run: A run that has test images.
        simple: The same log-likelihood for who knows the average image and nothing else.
    """
    test = run.metrics["test"]
    value = test["elbo"] if test["log_marginal"] is None else test["log_marginal"]
    gain, active = value - simple, test["active_units"]
    if run.config["model"] == "ae":
        said = (
            "Rebuilt from its latent vector, an image that it never saw has a log-likelihood of"
            f" {_minus(value)} nats; rebuilt as the average image, {_minus(simple)}."
        )
    elif run.recipe.likelihood == "bernoulli" and not _is_binary(run.images.test):
        # Of grey pixels a Bernoulli likelihood is no probability, so that it is no code length.
        said = (
            f"The score of an image that it never saw is {_minus(value)} nats, and"
            f" {_minus(simple)} if one knows no more than the average image."
        )
    elif run.recipe.likelihood == "bernoulli":
        said = (
            f"To describe an image that it never saw, it needs {_minus(-value)} nats"
            f" ({_minus(-value / math.log(2), 0)} bits); knowing no more than the average image,"
            f" one needs {_minus(-simple)}."
        )
    else:
        said = (
            f"The log-density of an image that it never saw is {_minus(value)} nats under it, and"
            f" {_minus(simple)} if one knows no more than the average image."
        )
    if gain <= 0:
        said += " So it has learned nothing that the average image does not say."
    channels = test["latent_channels"]
    if channels == 1:
        return (
            f"{said} To it, an image is a single number{'' if active else ', which it ignores'}."
        )
    used = "all of them in use" if active == channels else f"{active or 'none'} of them in use"
    return f"{said} To it, an image is {channels:,} numbers, {used}."


def _is_binary(pixels: Tensor) -> bool:
    return bool(((pixels == 0) | (pixels == 1)).all())


def facts(run: ImageRun) -> list[tuple[str, str]]:
    """Return what was trained, in numbers."""
    images, metrics, recipe = run.images, run.metrics, run.recipe
    c, h, w = images.shape
    rows = [
        ("images to learn from", f"{len(images.train):,}"),
        ("for validation, test", f"{len(images.val):,}, {len(images.test):,}"),
        ("pixels", f"{w} × {h}" if c == 1 else f"{w} × {h}, {c} channels"),
        ("recipe", shown(recipe.name)),
        ("latent dimensions", _dimensions(run)),
        ("training time", duration(metrics["seconds"])),
        ("epoch kept", f"{metrics['epoch']:,} of {metrics['epochs']:,}"),
    ]
    test = metrics["test"]
    if test is not None and run.config["model"] != "ae":
        rows.insert(5, ("KL to the prior", f"{test['kl']:.1f} nats"))
    return rows


def _dimensions(run: ImageRun) -> str:
    channels, test = run.recipe.latent_channels, run.metrics["test"]
    if test is None:
        return f"{channels:,}"
    active = test["active_units"]
    return f"{channels:,}, {'all' if active == channels else active or 'none'} active"


def map_data(run: ImageRun, seen: Shown) -> tuple[dict[str, Any], str]:
    """Return what the map of the images is drawn from, and a sentence on it.

    Args:
        run: The run.
        seen: The images to show; at most 5,000, evenly spaced, are drawn.
    """
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
    drawn: dict[str, Any] = {
        "x": packed(places[:, 0]),
        "y": packed(places[:, 1]),
        "points": packed(points),
        "is_latent": run.recipe.latent_channels == 2,
        "sprite": sprite(pixels, columns),
        "columns": columns,
        "size": list(pixels.shape[-2:]),
        "number": packed(_numbers(len(seen.pixels), len(pixels))),
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


def _numbers(total: int, count: int) -> np.ndarray:
    """Return which of all images are drawn, counted from 1."""
    return evenly_spaced(torch.arange(1, total + 1), count).numpy().astype(np.int32)


def explorer_data(run: ImageRun, mu: Tensor, order: Sequence[int]) -> tuple[dict[str, Any], str]:
    """Return what the latent square is about, and its decoded images.

    It is the plane of the two latent dimensions that say most.

    Args:
        run: The run.
        mu: Posterior means, shape ``(n, d)``, d at least 2.
        order: Latent dimensions, those that say most first.
    """
    axes = (0, 1) if mu.shape[1] == 2 else (order[0], order[1])
    # Where there is no prior, the square is as large as the images make it.
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
    config = run.config
    rows = {
        "source": config["images"]["source"],
        "model": config["model"],
        "seed": config["seed"],
        "device": config.get("device", ""),
        "threads": config.get("threads", ""),
        **{f"version of {name}": text for name, text in config.get("versions", {}).items()},
        "fingerprint of the images": config["images"]["fingerprint"],
        **recipe_settings(run.recipe),
    }
    return [(name, setting(value)) for name, value in rows.items()]


def command(run: ImageRun) -> str:
    """Return the command that trains the same anew."""
    config, recipe = run.config, run.recipe
    named = IMAGE_RECIPES.get(recipe.name, default_recipe(config["images"]["num_train"]))
    words = ["vgae", "train", config["images"]["source"], "--model", config["model"]]
    words += ["--recipe", named.name, "--seed", config["seed"]]
    return shell_command(words, recipe, named)


def stills(run: ImageRun) -> dict[str, tuple[str, str]]:
    """Return the figures of a run as title and image, drawn anew where they are missing."""
    folder = run.folder / "figures"
    wanted = {"training.png"}
    if len(run.images.test):
        wanted.add("latent.png")
    with TemporaryDirectory() as temporary:
        if not all((folder / name).is_file() for name in wanted):
            folder = Path(temporary)
            write_image_figures(folder, run.model, run.images, run.history)
        return {
            name.removesuffix(".png"): (title, image_uri(read_regular(folder / name)))
            for name, title in _FIGURES.items()
            if name in wanted
        }

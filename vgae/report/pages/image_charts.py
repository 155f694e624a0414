"""image_charts: how training on images went, and what each latent dimension says."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vgae.data.images import Images
from vgae.gaussian import DiagGaussian
from vgae.recipes.images import ImageRecipe
from vgae.report.pages.frame import Chart, Column, Series, Table, numeric, rounded, thinned
from vgae.training.history import HistoryRow
from vgae.vae import Posterior

_ACTIVE = 1e-2  # variance of a posterior mean over the images; see active_units
_MOST_BARS = 100
_MOST_PLAIN = 10  # rows of a table that one sees at a glance


def average_image(images: Images, recipe: ImageRecipe) -> float:
    """Return the mean log-likelihood of the test images under the average training image.

    The likelihood is of the family that the recipe has: Bernoulli, or normal with its fixed
    deviation, or with the deviation of all pixels together, or of each pixel.

    Args:
        images: As the recipe draws them; there are test images.
        recipe: What the model was trained with.
    """
    train, x = images.train, images.test.double()
    mean = train.mean(dim=0, dtype=torch.float64)
    if recipe.likelihood == "bernoulli":
        # A pixel that is black in all training images may be white in a test image.
        chance = mean.clamp(1 / (len(train) + 2), 1 - 1 / (len(train) + 2))
        score = x * chance.log() + (1 - x) * (-chance).log1p()
    else:
        variance = train.var(dim=0, correction=0).double()
        sigma = {
            "fixed": torch.tensor(recipe.pixel_sigma, dtype=torch.float64),
            "scalar": variance.mean().sqrt(),
            "pixel": variance.sqrt(),
        }[recipe.variance].clamp(min=recipe.min_pixel_sigma)
        error = (x - mean) / sigma
        score = -0.5 * (math.log(2 * math.pi) + error.square()) - sigma.log()
    return score.sum(dim=(1, 2, 3)).mean().item()


def charts_of(
    history: Sequence[HistoryRow], kept: int, num_train: int, recipe: ImageRecipe
) -> dict[str, Chart]:
    """Return the curves of training.

    Args:
        history: One row per epoch.
        kept: The epoch whose weights were kept.
        num_train: Training images, over which each row sums.
        recipe: What the model was trained with.
    """
    if not history:
        return {}
    some = [history[i] for i in thinned(len(history), 1000)]
    epoch = [row.epoch for row in some]
    mark = ((kept, f"kept: epoch {kept}"),) if kept else ()
    kind = "line" if len(some) > 9 else "line+dots"  # a line through one point is not seen

    def chart(title: str, summary: str, series: Sequence[Series]) -> Chart:
        return Chart(title, summary, series, x_title="epoch", y_title="nats an image", marks=mark)

    def curve(name: str, values: Sequence[float], colour: str) -> Series:
        return Series(name, epoch, rounded(values), kind, colour)

    recon, kl = ([getattr(row, name) / num_train for row in some] for name in ("recon", "kl"))
    total = [a + b for a, b in zip(recon, kl, strict=True)]
    with_kl = any(row.kl for row in history)
    series = [curve("training", total, "accent")]
    seen = [(row.epoch, -row.val_elbo) for row in history if row.val_elbo is not None]
    said = f"It went from {total[0]:.1f} to {total[-1]:.1f} in training"
    if seen:
        kept_of_seen = [seen[i] for i in thinned(len(seen), 1000)]
        at, values = zip(*kept_of_seen, strict=True)
        series.append(Series("validation", at, rounded(values), kind, "second"))
        said += f", and was {min(values):.1f} at best on validation images"
    name = "Negative ELBO" if with_kl else "Negative log-likelihood"
    charts = {
        "elbo": chart(
            name, f"How many nats the model needs for an image. {said}. Lower is better.", series
        )
    }
    if recipe.beta != 1 or recipe.warmup:
        text = f"What training minimises: the KL divergence counts {recipe.beta:g} times"
        text += f", less in the first {recipe.warmup} epochs." if recipe.warmup else "."
        charts["loss"] = chart("Loss", text, [curve("", [row.loss for row in some], "accent")])
    if with_kl:
        text = "The part of the loss that says how far rebuilt images are from the originals."
        charts["recon"] = chart("Reconstruction", text, [curve("", recon, "accent")])
        text = (
            "The other part: how much the latent variables say of an image, as distance from the"
            f" prior. {kl[-1]:.1f} nats in the end."
        )
        charts["kl"] = chart("KL to the prior", text, [curve("", kl, "accent")])
    return charts


@dataclass(frozen=True, eq=False)
class Dimensions:
    """What each latent dimension says of images.

    Attributes:
        kl: Mean KL divergence to the prior, shape ``(d,)``; ``None`` of a plain auto-encoder.
        variance: Of the posterior means over the images, shape ``(d,)``.
        order: Dimensions, those that say most first.
    """

    kl: Tensor | None
    variance: Tensor
    order: list[int]

    @property
    def is_active(self) -> list[bool]:
        """Whether each tells images apart."""
        return (self.variance > _ACTIVE).tolist()

    def chart(self, name: str) -> Chart:
        """Return the bars of the KL divergences.

        Args:
            name: Which images they are of.

        Raises:
            ValueError: If there is no KL divergence.
        """
        if self.kl is None:
            raise ValueError("a plain auto-encoder has no KL divergence")
        drawn, active = self.order[:_MOST_BARS], self.is_active
        values = rounded(self.kl.tolist())
        series = []
        for wanted, colour in ((True, "accent"), (False, "muted")):
            some = [k for k in drawn if active[k] == wanted]
            if some:
                places = [f"z{k + 1}" for k in some]
                title = "active" if wanted else "not active"
                series.append(Series(title, places, [values[k] for k in some], "bars", colour))
        count = f"{sum(active)} of {len(active)} are active"
        if len(drawn) < len(active):
            count += f"; the first {len(drawn)} are drawn"
        return Chart(
            "What each dimension says",
            f"Mean KL divergence to the prior over {name} images, the largest first: near 0, a"
            f" dimension says nothing of the image. {count}.",
            series,
            x_title="latent dimension",
            y_title="nats",
        )


def dimensions_of(q: Posterior) -> Dimensions:
    """Return what each latent dimension says of the images that posteriors are of."""
    mu = q.mu.double()
    variance = mu.var(dim=0, correction=0)
    if not isinstance(q, DiagGaussian):
        order = variance.argsort(descending=True, stable=True).tolist()
        return Dimensions(None, variance, order)
    # Dimensions are independent, so that each has a KL divergence of its own.
    single = DiagGaussian(mu[..., None], q.logvar.double()[..., None])
    kl = single.kl().mean(dim=0)
    return Dimensions(kl, variance, kl.argsort(descending=True, stable=True).tolist())


def dimension_table(dimensions: Dimensions) -> Table:
    """Return the same as a table."""
    kl, active = dimensions.kl, dimensions.is_active
    rows: list[list[str | tuple[str, float]]] = []
    for k in dimensions.order:
        values = [float(column[k]) for column in (kl, dimensions.variance) if column is not None]
        numbers = [(f"{value:.3f}", value) for value in values]
        rows.append([(f"z{k + 1}", k + 1), "yes" if active[k] else "no", *numbers])
    columns = [Column("dimension"), Column("active")]
    columns += [] if kl is None else [numeric("KL, nats")]
    columns += [numeric("variance", "of the posterior means")]
    caption = f"Each latent dimension; active is one whose variance is above {_ACTIVE}"
    return Table(caption, columns, rows, sortable=len(rows) > _MOST_PLAIN)

"""Training curves and latent dimensions of a run on images, as charts and tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vgae.data.images import Images
from vgae.gaussian import DiagGaussian
from vgae.recipes.images import ImageRecipe
from vgae.report.pages import frame
from vgae.report.pages.frame import Chart, Series, Table, numeric, rounded, thinned
from vgae.training.history import HistoryRow
from vgae.vae import Posterior

_ACTIVE = 1e-2  # variance of a posterior mean over the images; see active_units
_MOST_BARS = 100
_MOST_PLAIN = 10  # rows of a table that needs no sorting


def average_image(images: Images, recipe: ImageRecipe) -> float:
    """Return the mean log-likelihood of the test images under the average training image.

    The likelihood is the one of the recipe: Bernoulli, or normal with a fixed deviation, one
    deviation of all pixels, or one of each pixel. The images are those that the recipe draws.
    """
    train, x = images.train, images.test.double()
    mean = train.mean(dim=0, dtype=torch.float64)
    if recipe.likelihood == "bernoulli":
        # A pixel that is black in all training images can be white in a test image.
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
    """Return the curves of training; each row of the history sums over ``num_train`` images."""
    if not history:
        return {}
    some = [history[i] for i in thinned(len(history), 1000)]
    epoch = [row.epoch for row in some]

    def chart(title: str, summary: str, *series: Series) -> Chart:
        return frame.training_chart(title, summary, series, "nats per image", kept)

    def curve(name: str, values: Sequence[float]) -> Series:
        return frame.line(name, epoch, rounded(values))

    recon, kl = ([getattr(row, name) / num_train for row in some] for name in ("recon", "kl"))
    total = [a + b for a, b in zip(recon, kl, strict=True)]
    with_kl = any(row.kl for row in history)
    series = [curve("training", total)]
    seen = [(row.epoch, -row.val_elbo) for row in history if row.val_elbo is not None]
    course = f"It went from {total[0]:.1f} to {total[-1]:.1f} in training"
    if seen:
        at, values = zip(*(seen[i] for i in thinned(len(seen), 1000)), strict=True)
        series.append(frame.line("validation", at, rounded(values), "second"))
        course += f"; the best value of the validation images was {min(values):.1f}"
    name = "Negative ELBO" if with_kl else "Negative log-likelihood"
    charts = {"elbo": chart(name, f"Mean over the images. {course}. Lower is better.", *series)}
    if recipe.beta != 1 or recipe.warmup:
        text = f"The minimised loss: the KL divergence counts {recipe.beta:g} times"
        text += f", less in the first {recipe.warmup} epochs." if recipe.warmup else "."
        charts["loss"] = chart("Loss", text, curve("", [row.loss for row in some]))
    if with_kl:
        text = "The part of the loss that measures the error of the reconstructed images."
        charts["recon"] = chart("Reconstruction", text, curve("", recon))
        text = (
            "The other part: the information in the latent variables, as their divergence from"
            f" the prior. {kl[-1]:.1f} nats in the end."
        )
        charts["kl"] = chart("KL divergence to the prior", text, curve("", kl))
    return charts


@dataclass(frozen=True, eq=False)
class Dimensions:
    """Mean KL divergence and variance of the posterior means of each latent dimension.

    A plain auto-encoder has no KL divergence. The first dimensions in ``order`` have the largest
    KL divergence or, without one, variance.
    """

    kl: Tensor | None
    variance: Tensor
    order: list[int]

    @property
    def is_active(self) -> list[bool]:
        """Per dimension, ``True`` if its posterior mean varies with the image."""
        return (self.variance > _ACTIVE).tolist()

    def chart(self, name: str) -> Chart:
        """Return the mean KL divergences as bars; raise ``ValueError`` if there are none."""
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
            "KL divergence of each dimension",
            f"Mean over the {name} images, the largest first. A dimension near 0 has no"
            f" information on the image. {count}.",
            series,
            x_title="latent dimension",
            y_title="nats",
        )


def dimensions_of(q: Posterior) -> Dimensions:
    """Return the information in each latent dimension of posteriors."""
    mu = q.mu.double()
    variance = mu.var(dim=0, correction=0)
    if not isinstance(q, DiagGaussian):
        order = variance.argsort(descending=True, stable=True).tolist()
        return Dimensions(None, variance, order)
    # The dimensions are independent: their KL divergences add up.
    single = DiagGaussian(mu[..., None], q.logvar.double()[..., None])
    kl = single.kl().mean(dim=0)
    return Dimensions(kl, variance, kl.argsort(descending=True, stable=True).tolist())


def dimension_table(dimensions: Dimensions) -> Table:
    """Return the information in each latent dimension as a table."""
    kl, active = dimensions.kl, dimensions.is_active
    rows: list[list[frame.Cell]] = []
    for k in dimensions.order:
        values = [float(column[k]) for column in (kl, dimensions.variance) if column is not None]
        numbers = [(f"{value:.3f}", value) for value in values]
        rows.append([(f"z{k + 1}", k + 1), "yes" if active[k] else "no", *numbers])
    columns = [frame.Column("dimension"), frame.Column("active")]
    columns += [] if kl is None else [numeric("KL, nats")]
    columns += [numeric("variance", "of the posterior means")]
    caption = f"Latent dimensions; an active one has a variance above {_ACTIVE}"
    return Table(caption, columns, rows, sortable=len(rows) > _MOST_PLAIN)

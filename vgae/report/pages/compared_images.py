"""compared_images: runs on images beside each other."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vgae.evaluation.differences import Difference, mean_difference
from vgae.evaluation.images import elbo_terms
from vgae.models.embedding import parameter_like
from vgae.report.figures.images import decoded
from vgae.report.figures.latent_plane import evenly_spaced, posterior_of
from vgae.report.pages.compared_runs import (
    Compared,
    best_of,
    curve,
    difference_text,
    listed,
    marked,
    told_apart,
)
from vgae.report.pages.frame import Chart, Column, Table, numeric, shown
from vgae.report.pages.repeating import duration
from vgae.report.pages.sprites import spaced_sprite, thumbnails
from vgae.runs.images import ImageRun
from vgae.runtime.streams import stream

_COLUMNS = 12


def compared_images(runs: Sequence[ImageRun], names: Sequence[str]) -> Compared:
    """Compare runs on images.

    Args:
        runs: Two or more; differences are to the first.
        names: One each.

    Raises:
        ArtifactError: If the images of a run are others now.
    """
    reasons = warnings(runs, names)
    elbos = [] if reasons else [elbo_of_test(run) for run in runs]
    differences: list[Difference | None] = [None] * len(runs)
    if elbos and len(elbos[0]) > 1:
        differences = [mean_difference(elbo, elbos[0]) for elbo in elbos]
    return Compared(
        kicker=_kicker(runs),
        verdict=_verdict(runs, names, elbos),
        warnings=reasons,
        scores=_scores(runs, names, differences, comparable=not reasons),
        charts=_charts(runs, names),
        pictures=_pictures(runs, names),
    )


def _kicker(runs: Sequence[ImageRun]) -> str:
    data = dict.fromkeys(shown(run.config["images"]["name"]) for run in runs)
    return f"{len(runs)} runs on the images {', '.join(data)}"


def warnings(runs: Sequence[ImageRun], names: Sequence[str]) -> list[str]:
    """Say what keeps the scores of runs from being compared."""
    rules = {
        "in the images that scores are of": lambda run: run.config["images"]["fingerprint"],
        "in how pixels were drawn (binarize, --seed)": lambda run: (
            None if run.recipe.binarize == "none" else run.config["seed"]
        ),
        "in the likelihood of a pixel, and so in the scale of all values": lambda run: (
            run.recipe.likelihood
        ),
        "in the model: the ELBO of a plain auto-encoder bounds nothing": (
            lambda run: run.config["model"]
        ),
    }
    found = []
    for text, rule in rules.items():
        others = [
            name for name, run in zip(names, runs, strict=True) if rule(run) != rule(runs[0])
        ]
        if others:
            differ = "differs" if len(others) == 1 else "differ"
            found.append(
                f"{listed(others)} {differ} from {names[0]} {text}. Do not compare these scores."
            )
    return found


def elbo_of_test(run: ImageRun) -> Tensor:
    """Return the ELBO of each test image, with the draws that the run itself was judged by."""
    pixels = run.images.test
    if not len(pixels):
        return torch.empty(0)
    noise = stream(run.config["seed"], "noise", parameter_like(run.model).device)
    terms = elbo_terms(run.model, pixels, generator=noise)
    return terms.log_likelihood - terms.kl


def _verdict(runs: Sequence[ImageRun], names: Sequence[str], elbos: Sequence[Tensor]) -> str:
    if not elbos or len(elbos[0]) < 2:
        return "There is no best: their scores cannot be compared."
    order = sorted(range(len(runs)), key=lambda i: -float(elbos[i].mean()))
    best, second = order[0], order[1]
    ahead = mean_difference(elbos[best], elbos[second])
    numbers = " to ".join(_signed(end, 2) for end in ahead[1:])
    said = (
        f"{names[best]} has the highest test ELBO, {_signed(float(elbos[best].mean()), 1)} nats an"
        f" image, {ahead.value:.2f} above that of {names[second]} ({numbers} with 95 % confidence)"
    )
    if told_apart(ahead):
        return f"{said}."
    return f"{said}: on these test images the two cannot be told apart."


def _signed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _scores(
    runs: Sequence[ImageRun],
    names: Sequence[str],
    differences: Sequence[Difference | None],
    *,
    comparable: bool,
) -> Table:
    columns = [
        Column("run"),
        numeric("ELBO", "nats an image, ± its standard error"),
        numeric("ELBO, difference", f"to {names[0]}, with its 95 % interval"),
        numeric("log p(x)", "nats an image, ± its standard error"),
        numeric("samples", "an image, for log p(x); more samples raise it"),
        numeric("KL, nats"),
        numeric("active", "latent dimensions in use"),
        numeric("epoch kept"),
        numeric("time"),
    ]
    tests = [run.metrics["test"] or {} for run in runs]
    best = {
        key: best_of([test.get(key) for test in tests], comparable=comparable)
        for key in ("elbo", "log_marginal")
    }
    rows = []
    for i, (run, name, test) in enumerate(zip(runs, names, tests, strict=True)):
        elbo, log_px = (
            _score(test.get(key), test.get(f"{key}_error"), is_best=best[key] == i)
            for key in ("elbo", "log_marginal")
        )
        apart = difference_text(differences[i] if i else None, 1, 2)
        metrics = run.metrics
        rows.append(
            [
                name,
                elbo,
                apart,
                log_px,
                f"{test['num_samples']:,}" if test.get("num_samples") else "–",
                f"{test['kl']:.2f}" if test else "–",
                f"{test['active_units']} of {test['latent_channels']}" if test else "–",
                (f"{metrics['epoch']:,}", metrics["epoch"]),
                (duration(metrics["seconds"]), metrics["seconds"]),
            ]
        )
    caption = "Scores of the test images" + ("; ★ is the best of a column" if comparable else "")
    return Table(caption, columns, rows, sortable=True)


def _score(value: float | None, error: float | None, *, is_best: bool) -> str | tuple[str, float]:
    if value is None:
        return "–"
    text = _signed(value, 2) + ("" if error is None else f" ± {error:.2f}")
    return marked(text, is_best=is_best), value


def _charts(runs: Sequence[ImageRun], names: Sequence[str]) -> dict[str, Chart]:
    series = []
    for i, (run, name) in enumerate(zip(runs, names, strict=True)):
        seen = [(row.epoch, row.val_elbo) for row in run.history if row.val_elbo is not None]
        if seen:
            at, values = zip(*seen, strict=True)
            series.append(curve(i, name, at, values))
    if not series:
        return {}
    text = "ELBO of the validation images while the runs trained. Higher is better."
    return {
        "validation": Chart("Validation images", text, series, "epoch", "nats an image"),
    }


def _pictures(runs: Sequence[ImageRun], names: Sequence[str]) -> list[tuple[str, str]]:
    """Return test images and what each run makes of them, if they are the same for all."""
    pixels = runs[0].images.test
    same = {run.config["images"]["fingerprint"] for run in runs}
    if len(same) > 1 or not len(pixels):
        return []
    some = evenly_spaced(pixels, _COLUMNS)
    found = [("the images", spaced_sprite(thumbnails(some), _COLUMNS))]
    for run, name in zip(runs, names, strict=True):
        rebuilt = decoded(run.model, posterior_of(run.model, some).mu)
        found.append((name, spaced_sprite(thumbnails(rebuilt), _COLUMNS)))
    return found

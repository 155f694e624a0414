"""Comparison of runs on images."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vgae.evaluation.differences import Difference, mean_difference
from vgae.evaluation.images import elbo_terms
from vgae.models.embedding import parameter_like
from vgae.report.figures.images import decoded
from vgae.report.figures.latent_plane import evenly_spaced, posterior_of
from vgae.report.pages import compared_runs as shared
from vgae.report.pages.frame import Chart, Table, minus, numeric, shown
from vgae.report.pages.sprites import spaced_sprite, thumbnails
from vgae.runs.images import ImageRun
from vgae.runtime.streams import stream

_COLUMNS = 12


def compared_images(runs: Sequence[ImageRun], names: Sequence[str]) -> shared.Compared:
    """Compare two or more runs on images; raise ``ArtifactError`` if images have changed."""
    reasons = warnings(runs, names)
    elbos = [] if reasons else [elbo_of_test(run) for run in runs]
    data = dict.fromkeys(shown(run.config["images"]["name"]) for run in runs)
    text = "ELBO of the validation images during training. Higher is better."
    empty = Chart("Validation images", text, [], "epoch", "nats per image")
    return shared.Compared(
        kicker=f"{len(runs)} runs on the images {', '.join(data)}",
        verdict=_verdict(names, elbos),
        warnings=reasons,
        scores=_scores(runs, names, elbos),
        charts=shared.validation_chart(runs, names, empty, "val_elbo"),
        pictures=_pictures(runs, names),
    )


def warnings(runs: Sequence[ImageRun], names: Sequence[str]) -> list[str]:
    """Return the reasons why the scores of runs are not comparable."""
    seeds = [None if run.recipe.binarize == "none" else run.config["seed"] for run in runs]
    values = {
        "other test images": [run.config["images"]["fingerprint"] for run in runs],
        "other random draws of the pixels (binarize, --seed)": seeds,
        "another pixel likelihood, and so another scale of all values,": [
            run.recipe.likelihood for run in runs
        ],
        "another type of model (the ELBO of a plain auto-encoder is no bound)": [
            run.config["model"] for run in runs
        ],
    }
    return shared.warnings_of(
        names,
        {
            f"had {what} than {names[0]}. Do not compare these scores.": [
                value == several[0] for value in several
            ]
            for what, several in values.items()
        },
    )


def elbo_of_test(run: ImageRun) -> Tensor:
    """Return the ELBO of each test image, with the random draws of the evaluation of the run."""
    pixels = run.images.test
    if not len(pixels):
        return torch.empty(0)
    noise = stream(run.config["seed"], "evaluation", parameter_like(run.model).device)
    terms = elbo_terms(run.model, pixels, generator=noise)
    return terms.log_likelihood - terms.kl


def _verdict(names: Sequence[str], elbos: Sequence[Tensor]) -> str:
    if not elbos or len(elbos[0]) < 2:
        return shared.NO_BEST
    best, second = sorted(range(len(names)), key=lambda i: -float(elbos[i].mean()))[:2]
    ahead = mean_difference(elbos[best], elbos[second])
    value = minus(f"{float(elbos[best].mean()):.1f}")
    text = f"{names[best]} has the highest test ELBO, {value} nats per image"
    return text + shared.lead_text(ahead, names[second], (1, 2, ""), "test images")


def _scores(runs: Sequence[ImageRun], names: Sequence[str], elbos: Sequence[Tensor]) -> Table:
    """Return the table of scores; without ``elbos``, the runs are not comparable."""
    apart: list[Difference | None] = [None] * len(runs)
    comparable = bool(elbos)
    if comparable and len(elbos[0]) > 1:
        apart[1:] = [mean_difference(elbo, elbos[0]) for elbo in elbos[1:]]
    columns = [
        numeric("ELBO", "nats per image, ± its standard error"),
        numeric("ELBO, difference", f"to {names[0]}, with its 95 % interval"),
        numeric("log p(x)", "nats per image, ± its standard error"),
        numeric("samples", "per image, for log p(x); more samples raise it"),
        numeric("KL, nats"),
        numeric("active", "latent dimensions in use"),
    ]
    tests = [run.metrics["test"] or {} for run in runs]
    keys = "elbo", "log_marginal"
    scores = [[test.get(key) for test in tests] for key in keys]
    best = [shared.best_of(values, comparable=comparable) for values in scores]
    cells = []
    for i, test in enumerate(tests):
        elbo, log_px = (
            shared.score_cell(test.get(key), test.get(f"{key}_error"), is_best=winner == i)
            for key, winner in zip(keys, best, strict=True)
        )
        difference = shared.difference_text(apart[i], 1, 2)
        samples = f"{test['num_samples']:,}" if test.get("num_samples") else "–"
        kl = f"{test['kl']:.2f}" if test else "–"
        active = f"{test['active_units']} of {test['latent_channels']}" if test else "–"
        cells.append([elbo, difference, log_px, samples, kl, active])
    return shared.scores_of_runs(runs, names, columns, cells, "test images", comparable=comparable)


def _pictures(runs: Sequence[ImageRun], names: Sequence[str]) -> list[tuple[str, str]]:
    """Return test images and their reconstructions by each run, if all runs share them."""
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

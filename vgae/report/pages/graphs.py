"""graph_page: all that the page of a run on a graph says, from the top to the bottom."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from vgae.errors import printable
from vgae.evaluation.calibration import Calibration
from vgae.models.registry import graph_model
from vgae.prediction.links import LinkTable
from vgae.recipes import RECIPES, Recipe
from vgae.report.figures.graphs import write_figures
from vgae.report.figures.style import CLASS_COLOURS, DARK_CLASS_COLOURS
from vgae.report.pages import scores as judgement
from vgae.report.pages.frame import image_uri, render, shown
from vgae.report.pages.proposals import (
    Bets,
    best_links,
    bets_table,
    chance,
    map_data,
    proposal_table,
    put_to_test,
)
from vgae.report.pages.repeating import (
    duration,
    folder_files,
    recipe_settings,
    setting,
    shell_command,
)
from vgae.runs.folder import stored_recipe, understood
from vgae.runs.graphs import Run, calibration_at
from vgae.runtime.npz import read_arrays
from vgae.runtime.reading import read_regular

log = logging.getLogger(__name__)

_FIGURES = {
    "training.png": "How training went",
    "embedding.png": "The nodes in the plane",
    "links.png": "How test links are told from non-links",
}
_FILES = {
    "config.json": "every setting and version",
    "split.npz": "the links held out, and their non-links",
    "history.jsonl": "loss, its parts and validation scores, a row for each epoch",
    "metrics.json": "AUC, AP, ranks, calibration",
    "model/config.json": "what rebuilds the model",
    "model/model.safetensors": "its weights",
    "model/calibration.json": "from scores to probabilities, and the threshold",
    "model/node_ids.json": "the names of the nodes",
    "checkpoints/best.safetensors": "weights of the best epoch",
    "checkpoints/last.safetensors": "weights of the last epoch",
    "embeddings.npz": "name and place of each node",
    **{f"figures/{name}": f"figure: {title.lower()}" for name, title in _FIGURES.items()},
}


def graph_page(run: Run, *, top_k: int = 200) -> str:
    """Return the page of a run on a graph, as HTML that needs nothing from anywhere.

    Args:
        run: A finished run; its graph is read anew.
        top_k: How many proposed links the table has, at least 1.

    Raises:
        ArtifactError: If a file of the run is damaged, or its graph is another one now.
        UsageError: If plotly is not installed.
    """
    with understood(run.folder):
        return _page(run, top_k)


def _page(run: Run, top_k: int) -> str:
    graph, metrics = run.graph, run.metrics
    log.info("scoring the test links")
    scored = judgement.scored_test_pairs(run.model, graph, run.split)
    charts = judgement.learning_charts(run.history, metrics["epoch"])
    content: dict[str, Any] = {"learning": [*charts], "ranking": [], "trust": None}
    if scored is not None:
        judged = metrics["test"]
        charts |= judgement.ranking_charts(scored, run.calibration)
        charts["reliability"] = judgement.reliability_chart(judged)
        charts["degrees"], degrees = judgement.degree_chart(scored, run.split, run.calibration)
        content["trust"] = {
            "probabilities": judgement.probability_table(judged),
            "degrees": degrees,
            "canary": judgement.canary(scored, run.split),
        }
    log.info("looking for the best of all pairs")
    calibration = calibration_at(run, "density")
    found, tested = best_links(run, calibration, top_k), put_to_test(run, calibration)
    drawn = map_data(run, calibration, int(found.source[0]) if len(found) else 0)
    drawn |= {"colours": CLASS_COLOURS, "dark_colours": DARK_CLASS_COLOURS}
    return render(
        "graph.html.j2",
        {
            **content,
            "title": f"{printable(graph.name)} · {run.config['model']} · vgae",
            "sections": _SECTIONS,
            "name": shown(graph.name),
            "model": shown(graph_model(run.config["model"]).title),
            "head": headline(run, scored),
            "bet": bet(found, tested),
            "facts": facts(run),
            "score_table": judgement.score_table(metrics),
            "proposals": proposal_table(found, graph),
            "tested": bets_table(tested) if tested else None,
            "tested_lead": worth_sentence(tested) if tested else "",
            "prior": prior_sentence(run, calibration),
            "audit": judgement.audit_rows(run.split, graph),
            "settings": settings(run),
            "command": command(run),
            "files": folder_files(run.folder, _FILES),
            "stills": stills(run),
            "drawn": drawn,
        },
        charts=charts,
        data={"graph": drawn},
        scripts=["map.js", "graph.js"],
    )


_SECTIONS = [
    ("summary", "Summary"),
    ("learning", "Did it learn?"),
    ("quality", "How good?"),
    ("space", "The space"),
    ("proposed", "Proposed links"),
    ("trust", "Can I trust it?"),
    ("repeat", "Repeat it"),
]


def headline(run: Run, scored: judgement.ScoredPairs | None) -> dict[str, Any] | None:
    """Return the two scores with their intervals and a sentence that says what they mean."""
    if scored is None:
        return None
    test = run.metrics["test"]
    simple = judgement.baseline(scored, run.split)
    rows = []
    for key, name, text in (
        (
            "auc",
            "AUC",
            "Take one link that was held out and one pair of nodes that are not linked: how often"
            " does the model give the link the higher score? Guessing gets 50.",
        ),
        (
            "ap",
            "Average precision",
            "Go down the list of test pairs from the highest score. At each link, look at the"
            " share of links so far; this is the mean of those shares. Guessing gets 50, as there"
            " are as many non-links as links.",
        ),
    ):
        low, high = test[f"{key}_interval"]
        rows.append({"name": name, "help": text, "value": test[key], "low": low, "high": high})
    fitted = judgement.num_pairs(run.metrics["val"]) if "val" in run.metrics else 0
    return {"scores": rows, "verdict": verdict(test, simple.auc, fitted)}


def verdict(test: Mapping[str, Any], simple: float, fitted: int) -> str:
    """Say in plain words how good the test scores are.

    Args:
        test: Scores, as ``metrics.json`` has them.
        simple: AUC of counting common neighbours.
        fitted: How many validation pairs the probabilities were fitted to.
    """
    first = (
        f"Shown one held-out link and one pair without a link, it picks the link"
        f" {_of_hundred(test['auc'])} times out of 100; guessing is right 50 times, counting"
        f" common neighbours {_of_hundred(simple)}."
    )
    low, high = test["auc_interval"]
    if low <= 0.5 <= high:
        first += " So it cannot be told from guessing."
    elif high < 0.5:
        first += " That is worse than guessing."
    elif test["auc"] <= simple:
        first += " The simple count does as well, or better."
    judged = test["calibrated"]
    count = judgement.num_pairs(test) if judged else 0
    if judged and min(count, fitted) < judgement.FEW_PAIRS:
        first += (
            f" Its probabilities were fitted to {fitted:,} pairs and tested on {count:,}: too few"
            " to say how far they are off."
        )
    elif judged:
        first += f" On such pairs its probabilities are {100 * judged['ece']:.1f} points off."
    return first


def _of_hundred(share: float) -> str:
    count = round(100 * share)
    return "more than 99" if count == 100 and share < 1 else str(count)


def bet(found: LinkTable, tested: Sequence[Bets]) -> dict[str, str] | None:
    """Return the one link that the model would bet on, and what its best pairs have been worth.

    ``None`` if no pair is left.
    """
    if not len(found):
        return None
    (u, v), (text, _) = found.names()[0], chance(found, 0)
    said = "Nothing was held out to put such bets to the test."
    if tested:
        # The pair is one of the first few; what the first hundreds were worth is another matter.
        first = tested[0]
        low, high = (100 * end for end in first.interval())
        said = (
            f"Put to the test, {first.hidden:,} of its {first.best:,} best pairs"
            f" {'was a link' if first.hidden == 1 else 'were links'} that had been hidden from it:"
            f" {100 * first.hidden / first.best:.0f} %, or {low:.0f} to {high:.0f} with 95 %"
            " confidence."
        )
    own = f"Score {text}."
    if found.probability is not None:
        refuted = bool(tested) and float(found.probability[0]) > tested[0].interval()[1]
        own = f"Its own probability is {text}{', which the test does not bear out' * refuted}"
        own += _ties(found.probability)
    return {"source": shown(u), "target": shown(v), "said": said, "own": own}


def _ties(probability: Tensor) -> str:
    """Return the end of a sentence: how many pairs share the probability of the first."""
    count = int((probability == probability[0]).sum())
    if count == 1:
        return "."
    least = "at least " if count == len(probability) else ""
    return (
        f". It shares that with {least}{count - 1:,} {'other' if count == 2 else 'others'};"
        " of these it has the highest score."
    )


def facts(run: Run) -> list[tuple[str, str]]:
    """Return what was trained, in numbers."""
    graph, metrics, config = run.graph, run.metrics, run.config
    kept = f"{metrics['epoch']:,} of {metrics['epochs']:,}"
    return [
        ("nodes", f"{graph.num_nodes:,}"),
        ("links", f"{graph.num_links:,}"),
        ("features", f"{graph.num_features:,}" if graph.num_features else "none"),
        ("latent dimensions", f"{config['recipe']['latent_channels']:,}"),
        ("recipe", shown(config["recipe"]["name"])),
        ("training time", duration(metrics["seconds"])),
        ("epoch kept", kept),
    ]


def prior_sentence(run: Run, calibration: Calibration | None) -> str:
    """Say in plain words what the probabilities of proposals refer to."""
    if calibration is None:
        return (
            "No links were held out for validation, so there are no probabilities; pairs are"
            " listed by their score."
        )
    graph = run.graph
    unknown = graph.num_nodes * (graph.num_nodes - 1) // 2 - run.split.train.shape[1]
    share = (graph.num_links - run.split.train.shape[1]) / unknown
    one_in = f"one in {round(1 / share):,}" if share > 0 else "none"
    return (
        f"Links are rare: of the pairs that training did not know as links, {one_in} is one."
        " The probabilities of proposals refer to pairs met at this rate, as if as many links"
        " were missing as were held out. Those of the test pairs further below refer to as many"
        f" non-links as links. They were fitted to {run.split.val.pos.shape[1]:,} validation links"
        " and to pairs without a link drawn at random. The best of all pairs are not like those:"
        " believe the test above, where the two differ."
    )


def worth_sentence(tested: Sequence[Bets]) -> str:
    """Say in plain words what the proposals have been worth, from the first rows to the last."""
    parts = [f"{row.hidden:,} of its {row.best:,}" for row in (tested[0], tested[-1])]
    said = " and ".join(dict.fromkeys(parts))
    return f"Put to the test, {said} best proposals were links that had been hidden from it."


def settings(run: Run) -> list[tuple[str, str]]:
    """Return every setting and version, and the fingerprints."""
    config, graph = run.config, run.graph
    recipe = stored_recipe(Recipe, dict(config))
    rows = {
        "source": config["graph"]["source"],
        "features": config["graph"]["features"],
        "model": config["model"],
        "seed": config["seed"],
        **{f"share for {part}": share for part, share in config["split"].items()},
        "device": config.get("device", ""),
        "threads": config.get("threads", ""),
        **{f"version of {name}": text for name, text in config.get("versions", {}).items()},
        "fingerprint of the graph": graph.fingerprint,
        "fingerprint of its links": graph.link_fingerprint,
        **recipe_settings(recipe),
    }
    return [(name, setting(value)) for name, value in rows.items()]


def command(run: Run) -> str:
    """Return the command that trains the same anew."""
    config = run.config
    recipe = stored_recipe(Recipe, dict(config))
    words = ["vgae", "train", config["graph"]["source"], "--model", config["model"]]
    # The rule of 'best' finds its variants by itself; where it was told, so is the command.
    name = recipe.name if recipe.name in RECIPES else "paper"
    words += ["--recipe", name, "--seed", str(config["seed"])]
    given = {
        "--features": (config["graph"]["features"], "raw"),
        "--directed": (config["graph"].get("directed", "symmetrize"), "symmetrize"),
        "--val": (config["split"]["val"], 0.05),
        "--test": (config["split"]["test"], 0.10),
    }
    for option, (value, default) in given.items():
        if value != default:
            words += [option, str(value)]
    return shell_command(words, recipe, RECIPES[name])


def stills(run: Run) -> dict[str, tuple[str, str]]:
    """Return the figures of a run as title and image, drawn anew where they are missing."""
    wanted = [name for name in _FIGURES if name != "links.png" or run.split.test.pos.shape[1]]
    folder = run.folder / "figures"
    with TemporaryDirectory() as temporary:
        if not all((folder / name).is_file() for name in wanted):
            log.info("drawing the figures that the folder lacks")
            copy = replace(run, folder=Path(temporary))
            vars(copy)["graph"] = run.graph  # is here already
            write_figures(copy, read_arrays(run.folder / "embeddings.npz")["mu"])
            folder = Path(temporary) / "figures"
        return {
            name.removesuffix(".png"): (_FIGURES[name], image_uri(read_regular(folder / name)))
            for name in wanted
        }

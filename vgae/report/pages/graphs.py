"""Page of a run on a graph."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from vgae.errors import printable
from vgae.evaluation.simple_scores import path_name
from vgae.graphs.canonical import link_positions
from vgae.graphs.collection import GraphCollection
from vgae.graphs.defaults import TEST_FRACTION, VAL_FRACTION
from vgae.models.graphs import graph_encoder
from vgae.models.registry import graph_model
from vgae.prediction.link_table import LinkTable
from vgae.recipes import DEFAULT, RECIPES, Recipe
from vgae.report.figures.graphs import write_figures
from vgae.report.figures.link_panels import scored_test_pairs
from vgae.report.figures.style import CLASS_COLOURS, DARK_CLASS_COLOURS
from vgae.report.pages import scores
from vgae.report.pages.clusters import cluster_section
from vgae.report.pages.collections import collection_section
from vgae.report.pages.frame import render, shown
from vgae.report.pages.proposals import (
    TopPairs,
    best_links,
    evaluate_proposals,
    evaluation_rows,
    map_data,
    probability_cell,
    proposal_table,
    true_sentence,
)
from vgae.report.pages.repeating import (
    all_settings,
    duration,
    figure_images,
    folder_files,
    shell_command,
)
from vgae.report.text import calibration_error, feature_scores_text, kind_text
from vgae.runs.calibrations import calibration_at
from vgae.runs.clusters import stored_table
from vgae.runs.folder import shown_source, stored_recipe, understood
from vgae.runs.graphs import GRAPHS, Run

log = logging.getLogger(__name__)

_FIGURES = {
    "training.png": "Training curves",
    "embedding.png": "Embeddings of the nodes",
    "links.png": "ROC curve, precision and recall, reliability",
    "graphs.png": "Vectors and sizes of the graphs",
    "examples.png": "The most usual and the most unusual graphs",
}


_SPLIT_ENTRIES = {
    "val": "fraction for val",
    "test": "fraction for test",
    "path": "split",
    "by_time": "column of the times",
    "digest": "digest of the split",
}


def graph_page(run: Run, *, top_k: int = 200) -> str:
    """Return the page of a run on a graph as self-contained HTML.

    Args:
        run: A finished run; its graph is read again.
        top_k: Number of proposed links in the table, at least 1.

    Raises:
        ArtifactError: If a file of the run is damaged, or its graph has changed since.
        UsageError: If plotly is not installed.
    """
    with understood(run.folder):
        return _page(run, top_k)


def _page(run: Run, top_k: int) -> str:
    graph, metrics, recipe = run.graph, run.metrics, stored_recipe(Recipe, dict(run.config))
    log.info("scoring the test links")
    scored = scored_test_pairs(run)
    charts = scores.learning_charts(run.history, metrics["epoch"])
    learning, text, reliability = [*charts], None, None
    if scored.label.any():
        simple = scores.baseline(scored, run.split).auc
        paths = path_name(run.split.grid)
        fitted = scores.num_pairs(metrics["val"]) if "val" in metrics else 0
        text = verdict(metrics["test"], simple, fitted, paths)
        charts |= scores.ranking_charts(scored, run.calibration)
        charts["reliability"] = scores.reliability_chart(metrics["test"])
        charts["degrees"], degrees = scores.degree_chart(scored, run.split, run.calibration)
        reliability = {
            "probabilities": scores.probability_rows(metrics["test"]),
            "degrees": degrees,
            "leakage": scores.leakage_check(scored, run.split),
        }
    log.info("scoring all pairs")
    calibration = calibration_at(run, "density")
    found, tested = best_links(run, calibration, top_k), evaluate_proposals(run, calibration)
    first, clusters = int(found.source[0]) if len(found) else 0, stored_table(run)
    labels = None if clusters is None else clusters.clusters.labels
    drawn = map_data(run, calibration, first, labels)
    encoder = graph_encoder(run.model)
    drawn |= {"colours": CLASS_COLOURS, "dark_colours": DARK_CLASS_COLOURS}
    collection, more = collection_section(run)
    charts |= more
    return render(
        "graph.html.j2",
        {
            "clusters": None if clusters is None else cluster_section(clusters, drawn),
            "collection": collection,
            "title": f"{printable(graph.name)} · {run.config['model']} · vgae",
            "name": shown(graph.name),
            "model": shown(graph_model(run.config["model"]).title),
            "verdict": text,
            "health": [printable(str(finding)) for finding in metrics.get("health", ())],
            "test": metrics.get("test"),
            "top": top_proposal(found, tested),
            "graph": graph,
            "kind": kind_text(graph.summary()),
            "of_side": " of its graph" * (collection is not None)
            or " of its side" * (graph.sides is not None),
            "are_reverses": _are_reverses(run),
            "channels": recipe.latent_channels + encoder.config().get("content", 0),
            "recipe": shown(recipe.name),
            "time": duration(metrics["seconds"]),
            "kept": f"{metrics['epoch']:,} of {metrics['epochs']:,}",
            "learning": learning,
            "scores": scores.score_rows(metrics),
            "features": feature_scores_text(metrics.get("features", {})),
            "proposals": proposal_table(found, graph),
            "come_true": true_sentence(found),
            "tested": evaluation_rows(tested),
            "evaluation": evaluation_sentence(tested) if tested else "",
            "has_probabilities": calibration is not None,
            "folds": calibration is not None and calibration.folds,
            "rate": link_rate(run),
            "num_others": len(scored.label) - run.split.test.pos.shape[1],
            "num_val": f"{run.split.val.pos.shape[1]:,}",
            "reliability": reliability,
            "audit": scores.audit_rows(run.split, graph),
            "settings": settings(run),
            "command": command(run),
            "files": folder_files(run.folder, GRAPHS.files),
            "stills": stills(run),
            "drawn": drawn,
        },
        charts=charts,
        data={"graph": drawn},
        scripts=["map.js", "graph.js"],
    )


def verdict(
    test: Mapping[str, Any], simple: float, fitted: int, paths: str = "common neighbours"
) -> str:
    """Return the test scores in plain words.

    ``simple`` is the AUC of the number of ``paths``, and ``fitted`` the number of validation pairs
    that the calibration is fitted to.
    """
    text = (
        "Given one held-out link and one pair without a link, the model ranks the link first in"
        f" {_of_hundred(test['auc'])} of 100 cases. Random guessing is right in 50 and a baseline,"
        f" the number of {paths}, in {_of_hundred(simple)}."
    )
    low, high = test["auc_interval"]
    if low <= 0.5 <= high:
        text += " The model is not significantly better than random guessing."
    elif high < 0.5:
        text += " The model is worse than random guessing."
    elif test["auc"] <= simple:
        text += " The baseline is as good or better."
    if not test["calibrated"]:
        return text
    count = scores.num_pairs(test)
    if min(count, fitted) < scores.FEW_PAIRS:
        return (
            f"{text} The calibration was fitted to {fitted:,} pairs and evaluated on {count:,}:"
            " too few to measure its error."
        )
    error = calibration_error(test["calibrated"])
    if error is None:
        return f"{text} All test pairs have about the same probability."
    return f"{text} The calibration error of the probabilities is {100 * error:.1f} points."


def _of_hundred(fraction: float) -> str:
    count = round(100 * fraction)
    return "more than 99" if count == 100 and fraction < 1 else str(count)


def top_proposal(found: LinkTable, tested: Sequence[TopPairs]) -> dict[str, str] | None:
    """Return the best proposed link with its evaluation; ``None`` if no pair is left."""
    if not len(found):
        return None
    (u, v), (text, _) = found.names()[0], probability_cell(found, 0)
    evaluation = "No links were held out to evaluate the proposals."
    if tested:
        # The smallest group of best pairs is the one that a single best pair is most like.
        first = tested[0]
        low, high = (100 * end for end in first.interval())
        verb = "is a held-out link" if first.num_links == 1 else "are held-out links"
        evaluation = (
            f"Of the {first.num_pairs:,} best pairs from the training links alone,"
            f" {first.num_links:,} {verb}: {100 * first.num_links / first.num_pairs:.0f} %, with a"
            f" 95 % interval of {low:.0f} to {high:.0f} %."
        )
    own = f"Score: {text}."
    if found.probability is not None:
        above = bool(tested) and float(found.probability[0]) > tested[0].interval()[1]
        own = f"Predicted probability: {text}{', above this interval' * above}."
        own += _ties(found.probability)
    return {"source": shown(u), "target": shown(v), "evaluation": evaluation, "own": own}


def _ties(probability: Tensor) -> str:
    """Return a sentence with the number of pairs that share the probability of the first."""
    count = int((probability == probability[0]).sum()) - 1
    if not count:
        return ""
    least = "At least " if count + 1 == len(probability) else ""
    pairs = "other pair has" if count == 1 else "other pairs have"
    return f" {least}{count:,} {pairs} the same probability and no higher score."


def _are_reverses(run: Run) -> bool:
    """Return whether all non-links of the test are reverses of links, as for the biased task."""
    neg, graph = run.split.test.neg, run.graph
    found = link_positions(neg.flip(0), graph.links, graph.grid) >= 0
    return graph.directed and bool(found.all())


def link_rate(run: Run) -> str:
    """Return the rate of links among the pairs that are not training links, in words."""
    graph, num_train = run.graph, run.split.message_links.shape[1]
    unknown = graph.grid.num_pairs - num_train
    found = graph.num_links - num_train
    return f"one in {round(unknown / found):,}" if found else "none"


def evaluation_sentence(tested: Sequence[TopPairs]) -> str:
    """Return the number of held-out links among the first and among all evaluated pairs."""
    parts = [f"{row.num_links:,} of the {row.num_pairs:,}" for row in (tested[0], tested[-1])]
    counts = " and ".join(dict.fromkeys(parts))
    return f"Evaluation: {counts} best pairs from the training links alone are held-out links."


def settings(run: Run) -> list[tuple[str, str]]:
    """Return every setting and version, and the fingerprints."""
    config, graph = run.config, run.graph
    data = {
        "source": shown_source(config["graph"]["source"]),
        "features": shown_source(config["graph"]["features"]),
        **{_SPLIT_ENTRIES.get(key, key): value for key, value in config["split"].items()},
    }
    fingerprints = {"the graph": graph.fingerprint, "its links": graph.link_fingerprint}
    return all_settings(config, stored_recipe(Recipe, dict(config)), data, fingerprints)


def command(run: Run) -> str:
    """Return the command that repeats the training."""
    config = run.config
    recipe = stored_recipe(Recipe, dict(config))
    source = shown_source(config["graph"]["source"])
    words = ["vgae", "train", source, "--model", config["model"]]
    # Recipe 'best' chooses a variant from the data; the command names the variant.
    name = recipe.name if recipe.name in RECIPES else DEFAULT.name
    words += ["--recipe", name, "--seed", str(config["seed"])]
    given = {
        "--features": (shown_source(config["graph"]["features"]), "raw"),
        "--hold-features": (config["graph"].get("hold_features", 0.0), 0.0),
        "--val": (config["split"].get("val", VAL_FRACTION), VAL_FRACTION),
        "--test": (config["split"].get("test", TEST_FRACTION), TEST_FRACTION),
        "--split": (config["split"].get("path"), None),
        "--split-by-time": (config["split"].get("by_time"), None),
        "--task": (config["split"].get("task", "general"), "general"),
    }
    for option, (value, default) in given.items():
        if value != default:
            words += [option, str(value)]
    words += GRAPHS.source_of(run.config).reading.to_words()
    return shell_command(words, recipe, RECIPES[name])


def stills(run: Run) -> dict[str, tuple[str, str]]:
    """Return the figures of a run as title and image, drawn again where they are missing."""

    def draw(folder: Path) -> None:
        copy = replace(run, folder=folder)
        vars(copy)["graph"] = run.graph  # a cached property, which would read the graph again
        write_figures(copy, run.embedding.numpy())

    left_out = set() if run.split.test.pos.shape[1] else {"links.png"}
    left_out |= set() if isinstance(run.graph, GraphCollection) else {"graphs.png", "examples.png"}
    titles = {name: title for name, title in _FIGURES.items() if name not in left_out}
    return figure_images(run.folder, titles, draw)

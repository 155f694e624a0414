"""Model cards of runs: what was trained, on what, and how well it does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vgae.models.card import Card, Score, write_card

Config = Mapping[str, Any]
_LINK_SCORES = {
    "auc": ("roc_auc", "ROC AUC"),
    "ap": ("average_precision", "average precision"),
    "mrr": ("mrr", "mean reciprocal rank"),
}
_IMAGE_SCORES = {"elbo": ("elbo", "ELBO"), "log_marginal": ("log_likelihood", "log p(x)")}
_ALL_RESULTS = "A score of held-out links says nothing of links of another kind or another time."


def write_run_card(folder: Path, config: Config, metrics: Mapping[str, Any]) -> None:
    """Write the card of a run of a known kind into its folder ``model``."""
    if {"graph", "typed_graph", "images"} & config.keys():
        write_card(folder / "model", run_card(config, metrics))


def run_card(config: Config, metrics: Mapping[str, Any]) -> Card:
    """Return the card of a run, given the contents of its ``config.json`` and ``metrics.json``.

    It has neither paths nor the time, so that equal runs have equal cards.
    """
    recipe = config["recipe"]
    trained = (
        f"The settings are those of the recipe {recipe['name']}, the seed is {config['seed']}, and"
        f" the weights are those of epoch {metrics['epoch']} of {metrics['epochs']}."
    )
    make = _of_images if "images" in config else _of_graph
    return make(config, metrics, trained)


def _of_images(config: Config, metrics: Mapping[str, Any], trained: str) -> Card:
    images, test = config["images"], metrics.get("test")
    shape = " x ".join(map(str, images["shape"]))
    data = f"It was trained on {images['num_train']:,} images of {images['name']}, {shape}."
    known = [
        Score(kind, f"{title} of test images, nats", test[key])
        for key, (kind, title) in _IMAGE_SCORES.items()
        if test and isinstance(test.get(key), float)  # a plain auto-encoder has none
    ]
    protocol = f"{test['num_images']:,} test images." if test else ""
    if test and len(known) == len(_IMAGE_SCORES):
        protocol += (
            f" log p(x) is an estimate from {test['num_samples']} samples each, which is a lower"
            " bound on average."
        )
    width, name = config["recipe"]["latent_channels"], images["name"]
    limits = [f"Images must be {shape}, with pixels in [0, 1]."]
    return Card("images", config["model"], width, name, [data, trained], known, protocol, limits)


def _of_graph(config: Config, metrics: Mapping[str, Any], trained: str) -> Card:
    kind = "graph" if "graph" in config else "typed_graph"
    graph = config[kind]
    counts = f"{graph['num_nodes']:,} nodes and {graph['num_links']:,} links"
    features = graph.get("num_features") or 0
    what = f"{features:,} features" if features else "no features"
    data = f"It was trained on {graph['name']}: {counts}, {what}."
    part = next((p for p in ("test", "val") if metrics.get(p)), None)
    scores = [] if part is None else _link_scores(part, metrics[part])
    protocol = "" if part is None else _protocol(config, part, metrics[part])
    limits = [
        f"It embeds other graphs with the same {features:,} features in the same order."
        if features
        else "Without features, it embeds the nodes of its training and no others.",
        _ALL_RESULTS,
    ]
    width, name = config["recipe"]["latent_channels"], graph["name"]
    return Card(kind, config["model"], width, name, [data, trained], scores, protocol, limits)


def _link_scores(part: str, found: Mapping[str, Any]) -> list[Score]:
    word = {"test": "test", "val": "validation"}[part]
    values = {**found, **(found.get("ranks") or {})}
    return [
        Score(kind, f"{name} of {word} links", values[key], values.get(f"{key}_interval"))
        for key, (kind, name) in _LINK_SCORES.items()
        if isinstance(values.get(key), float)
    ]


def _protocol(config: Config, part: str, found: Mapping[str, Any]) -> str:
    split, word = config.get("split", {}), {"test": "test", "val": "validation"}[part]
    how = "The held-out links are those of a given split"
    if {"val", "test"} <= split.keys():
        how = (
            f"{split['val']:.0%} of the links were held out for validation and"
            f" {split['test']:.0%} for test, with the seed {config['seed']}"
        )
    counted = ""
    if {"num_links", "num_non_links"} <= found.keys():
        counted = f"; {found['num_links']:,} {word} links among {found['num_non_links']:,} pairs"
        counted += " without a link"
    return (
        f"{how}{counted}. Messages travelled on training links only; the rank of a link is that"
        " among all pairs of its nodes that are not known links."
    )

"""How evaluations look in a terminal and in a notebook."""

from collections.abc import Mapping
from typing import Any, TypeVar

from vgae.runtime.preview import Preview

E = TypeVar("E")


class Evaluations(dict[str, E]):
    """Evaluations by the name of the part, such as ``"test"``; a notebook shows a table."""

    def _repr_html_(self) -> str:
        rows = {name: shown(evaluation) for name, evaluation in self.items()}
        header = {"part": None} | {key: None for row in rows.values() for key in row}
        cells = [[name, *map(row.get, [*header][1:])] for name, row in rows.items()]
        notes = [] if self else ["No links were held out, so there is nothing to score."]
        return Preview("Scores of the held-out links", cells, [*header], notes=notes).html()


def shown(evaluation: Any) -> dict[str, Any]:
    """Return the scores of an evaluation of links that a table has, by name.

    Args:
        evaluation: :class:`~vgae.evaluation.links.LinkEvaluation`, or one of a typed graph, whose
            scores are means over its relations.
    """
    found: dict[str, Any] = {"AUC": evaluation.auc}
    if not hasattr(evaluation, "intervals"):
        return found | {"AP": evaluation.ap, "relations": len(evaluation.relations)}
    found["AUC, 95 %"] = _interval(evaluation.intervals.auc)
    found |= {"AP": evaluation.ap, "AP, 95 %": _interval(evaluation.intervals.ap)}
    found |= {f"Hits@{k}": rate for k, rate in evaluation.hits.items() if k == 50}
    found["MRR"] = evaluation.ranks.mrr
    if evaluation.hard is not None:
        found["hard MRR"] = evaluation.hard.mrr
    probabilities = evaluation.calibrated or evaluation.sigmoid
    found["ECE"] = probabilities.scores.ece
    return found | {"links": evaluation.num_links, "non-links": evaluation.num_non_links}


def evaluation_text(evaluation: Any) -> str:
    """Return the scores of an evaluation of links in one line."""
    scores = (
        f"{name.lower().replace('@', '_at_').replace(' ', '_')}={value:.4f}"
        for name, value in shown(evaluation).items()
        if isinstance(value, float)
    )
    counts = f"{evaluation.num_links} links, {evaluation.num_non_links} non-links"
    return f"LinkEvaluation({', '.join(scores)}, {counts})"


def link_evaluation_preview(evaluation: Any) -> Preview:
    """Return the scores of one part as a table of names and values."""
    facts = {k: v for k, v in shown(evaluation).items() if not isinstance(v, int)}
    facts["links"], facts["non-links"] = (
        f"{count:,}" for count in (evaluation.num_links, evaluation.num_non_links)
    )
    return Preview.of_facts("Scores of the held-out links", facts)


def typed_evaluation_preview(relations: Mapping[str, Any]) -> Preview:
    """Return the scores of each relation."""
    rows = {name: shown(evaluation) for name, evaluation in relations.items()}
    columns: dict[str, list[Any]] = {"relation": [*rows]}
    for name in dict.fromkeys(key for row in rows.values() for key in row):
        columns[name] = [row.get(name) for row in rows.values()]
    return Preview.of_columns("Scores of the held-out links", columns, len(rows))


def image_evaluation_preview(found: Mapping[str, Any]) -> Preview:
    """Return the scores of :meth:`vgae.evaluation.images.ImageEvaluation.to_dict`."""
    names = {
        "ELBO": "elbo",
        "log p(x | z)": "log_likelihood",
        "KL": "kl",
        f"log p(x), {found['num_samples']:,} samples": "log_marginal",
    }
    facts = {name: _with_error(found, key) for name, key in names.items()}
    units = f"{found['active_units']} of {found['latent_channels']}"
    facts |= {"active latent dimensions": units, "images": f"{found['num_images']:,}"}
    return Preview.of_facts("Scores of images, in nats per image", facts)


def clusters_preview(clusters: Any) -> Preview:
    """Return size and mean confidence of each cluster."""
    sizes = clusters.sizes.tolist()
    sums = [0.0] * len(sizes)
    for label, confidence in zip(
        clusters.labels.tolist(), clusters.confidence.tolist(), strict=True
    ):
        sums[label] += confidence
    means = [total / size for total, size in zip(sums, sizes, strict=True)]
    columns = {"cluster": range(len(sizes)), "nodes": sizes, "mean confidence": means}
    title = f"{len(sizes)} clusters of {sum(sizes):,} nodes, {clusters.method}"
    return Preview.of_columns(title, columns, len(sizes))


def _interval(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.4f} – {ends[1]:.4f}"


def _with_error(found: Mapping[str, Any], key: str) -> str | None:
    value, error = found[key], found.get(f"{key}_error")
    if value is None:
        return None
    return f"{value:.2f}" if error is None else f"{value:.2f} ± {error:.2f}"

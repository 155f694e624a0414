"""Scores and data as aligned text, for the terminal."""

from collections.abc import Mapping
from typing import Any

from vgae.errors import printable
from vgae.runtime.text import columns


def per_cent(fraction: float) -> str:
    """Return a fraction in per cent with two decimals."""
    return f"{100 * fraction:.2f}"


def health_text(metrics: Mapping[str, Any]) -> str:
    """Return what the health check of a training found, a line each; empty if nothing."""
    # Runs of earlier versions lack this entry.
    findings = (printable(str(finding)) for finding in metrics.get("health", ()))
    return "".join(f"health  {finding}\n" for finding in findings)


def calibration_error(probabilities: Mapping[str, Any]) -> float | None:
    """Return the ECE of stored probabilities, or ``None`` if all pairs are in one bin.

    Equal probabilities of all pairs, such as those of a model without any skill, have an ECE of
    almost 0, which says nothing.
    """
    bins = probabilities.get("reliability")
    return None if bins and len(bins["num_pairs"]) == 1 else probabilities["ece"]


def error_text(probabilities: Mapping[str, Any], missing: str = "-") -> str:
    """Return :func:`calibration_error` as text."""
    error = calibration_error(probabilities)
    return missing if error is None else f"{error:.3f}"


def kind_text(graph: Mapping[str, Any]) -> str:
    """Return the kind of a graph that has a direction, sides or several graphs.

    Args:
        graph: Summary of a graph, or the entry of ``config.json``, whose ``directed`` is the
            option of reading.
    """
    if graph.get("directed") in (True, "keep"):
        return "directed"
    if "num_graphs" in graph:
        low, middle, high = graph["graph_sizes"]
        sizes = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        middle_size = "" if low == high else f", median {middle:,}"
        return f"{graph['num_graphs']:,} graphs of {sizes} nodes{middle_size}"
    if "sides" not in graph:
        return ""
    names = graph.get("side_names") or ("first side", "second side")
    counts = zip(graph["sides"], names, strict=True)
    return f"two-sided: {', '.join(f'{count:,} {printable(str(name))}' for count, name in counts)}"


def graph_line(graph: Mapping[str, Any]) -> str:
    """Return the entry on the graph in ``config.json``, with counts of edges left out."""
    text = (
        f"{printable(str(graph['name']))}: {graph['num_nodes']:,} nodes, {graph['num_links']:,}"
        f"{' weighted' if graph.get('weighted') else ''} links, {graph['num_features']:,} features"
    )
    if kind := kind_text(graph):
        text += f", {kind}"
    words = {
        "self_loops": "{:,} self-loops dropped",
        "num_isolated": "{:,} nodes without a link",
        "num_components": "{:,} components",
        "repeats": "{:,} repeated edges merged",
        "both_ways": "{:,} links given in both directions",
        "one_way": "{:,} in one",
    }
    # Runs of earlier versions lack these entries.
    shape = {"num_isolated": graph.get("num_isolated", 0)}
    if graph.get("num_components", 1) > graph.get("num_graphs", 1):
        shape["num_components"] = graph["num_components"]
    counts = {**shape, **graph["notes"]}
    notes = [
        words[name].format(count) for name, count in counts.items() if count and name in words
    ]
    return text + (f" ({', '.join(notes)})" if notes else "")


def link_scores_text(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the scores on links, given ``LinkEvaluation.to_dict()`` of each part of a split."""
    if not scores:
        return "no links were held out, so there is nothing to score"
    is_calibrated = all(row["calibrated"] for row in scores.values())
    hard, first = all(row["hard"] for row in scores.values()), next(iter(scores.values()))
    probabilities = "calibrated" if is_calibrated else "sigmoid"
    lines = [["", "AUC", "95 %", "AP", "95 %", "Hits@50", "MRR", "hit@10"]]
    # Runs of earlier versions lack these entries.
    own = all(row.get("given") for row in scores.values())
    sided = all(row.get("recommended") for row in scores.values())
    lines[0] += [
        *(["HeaRT MRR" if "rule" in first["hard"] else "hard MRR"] if hard else []),
        *(["own MRR", "own hit@10"] if own else []),
        *(["recall@20", "NDCG@20"] if sided else []),
        "ECE",
    ]
    for part, row in scores.items():
        line = ["validation" if part == "val" else part]
        for name in ("auc", "ap"):
            low, high = row[f"{name}_interval"]
            line += [per_cent(row[name]), f"{per_cent(low)} - {per_cent(high)}"]
        ranks = [row["ranks"]["mrr"], row["ranks"]["hits_at_10"]]
        ranks += [row["hard"]["mrr"]] if hard else []
        ranks += [row["given"]["mrr"], row["given"]["hits_at_10"]] if own else []
        if sided:
            ranks += [row["recommended"][name] for name in ("recall_at_20", "ndcg_at_20")]
        # Every link is among the first 50 of so few, whatever the model.
        few = row.get("num_non_links", row["num_links"]) <= 50
        hits = "-" if few else per_cent(row["hits_at_50"])
        line += [hits, *(per_cent(value) for value in ranks)]
        lines.append([*line, error_text(row[probabilities])])
    ranked = "".join(_sample_text(part, row) for part, row in scores.items())
    sigmoid = ", ".join(error_text(row["sigmoid"]) for row in scores.values())
    odd = {
        part: (row["num_links"], row["num_non_links"])
        for part, row in scores.items()
        if row.get("num_non_links", row["num_links"]) != row["num_links"]
    }
    balance = "links and non-links weighing the same" if odd else "on as many non-links as links"
    error = (
        f"of calibrated probabilities, {balance}; the bare sigmoid has {sigmoid}"
        if is_calibrated
        else "of the bare sigmoid"
    )
    counts = ", ".join(f"{b:,} for {a:,} {part} links" for part, (a, b) in odd.items())
    notes = f"AUC, AP, Hits@50: among all non-links of a part, {counts}.\n" if odd else ""
    if own:
        sizes = {f"{row['num_non_links'] // row['num_links']:,}" for row in scores.values()}
        notes += (
            f"own MRR, own hit@10: rank of a link among its own {' and '.join(sorted(sizes))}"
            " non-links.\n"
        )
    if sided:
        notes += (
            "recall@20, NDCG@20: held-out links among the 20 best pairs of each node of the first"
            " side.\n"
        )
    notes += _per_graph_text(scores)
    whose = " of its side" * sided or " of its graph" * ("averaged per graph" in notes)
    same = any(line[-1] == "-" for line in lines)
    error += "; none where all pairs have about the same probability" * same
    return (
        f"{columns(lines, right=range(1, len(lines[0])))}\n\n{notes}"
        f"MRR, hit@10: rank of the end of a link among all nodes{whose}, without the known links"
        f"{ranked}.\nECE: {error}.{values_text(scores)}{likelihood_text(scores)}"
    )


def _sample_text(part: str, row: Mapping[str, Any]) -> str:
    """Return which links were ranked, if they were not all of a part."""
    ranks, count = row["ranks"], row["ranks"]["num_links"]
    if count >= row["num_links"]:
        return ""
    if "mrr_interval" not in ranks:  # runs of earlier versions
        return f"; {count:,} {part} links, the first of all"
    ends = (
        f"{name} {' - '.join(map(per_cent, ranks[f'{key}_interval']))}"
        for name, key in (("MRR", "mrr"), ("hit@10", "hits_at_10"))
    )
    drawn = f"{count:,} {part} links drawn at random from {row['num_links']:,}"
    return f"; {drawn} (95 % intervals for all: {', '.join(ends)})"


def likelihood_text(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the estimates of log p(A | X), a line each; empty without."""
    found = {part: row["likelihood"] for part, row in scores.items() if row.get("likelihood")}
    if len(found) > 1 and all(row == found["test"] for row in found.values()):
        found = {"all links": found["test"]}  # a split by links
    lines = []
    for part, row in found.items():
        name = "validation" if part == "val" else part
        graphs = f"mean of {row['num_graphs']:,} graphs, " if row["num_graphs"] > 1 else ""
        loose = ", so a loose lower bound" if row["loose_bound"] else ""
        lines.append(
            f"log p(A | X), {name}: {row['log_marginal']:,.1f} nats ({graphs}standard error"
            f" {row['log_marginal_error']:,.1f}), {row['log_marginal_per_pair']:.4g} per pair;"
            f" ELBO {row['elbo']:,.1f}; {row['effective_samples']:.1f} effective of"
            f" {row['num_samples']:,} samples{loose}"
        )
    return "".join(f"\n{line}." for line in lines)


def values_text(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the scores of predicted weights and signs, a line each; empty without."""
    lines = []
    for part, row in scores.items():
        name = "validation" if part == "val" else part
        if found := row.get("weights"):
            scale = " of logarithms" if found["log_scale"] else ""
            lines.append(
                f"{name} weights: root mean squared error{scale} {found['rmse']:.4g}"
                f" ({found['rmse_of_mean']:.4g} of their mean);"
                f" {per_cent(found['coverage']['80'])} % lie in the 80 % intervals"
            )
        if found := row.get("signs"):
            auc = "-" if found["auc"] is None else per_cent(found["auc"])
            most = per_cent(found["accuracy_of_most"])
            accuracy = f"accuracy {per_cent(found['accuracy'])} ({most} of the more frequent sign)"
            lines.append(f"{name} signs: AUC {auc}, {accuracy}")
    return "".join(f"\n{line}." for line in lines)


def feature_scores_text(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the scores of held-out features, a line each part of a split; empty without.

    Args:
        scores: :meth:`vgae.evaluation.features.FeatureScores.to_dict` of each part.
    """
    lines = []
    for part, row in scores.items():
        found = [f"root mean squared error {row['rmse']:.4g}"]
        found += [f"AUC {per_cent(row['auc'])}"] if "auc" in row else []
        found += [f"AP {per_cent(row['ap'])}"] if "ap" in row else []
        found += [f"deviance {row['deviance']:.4g}"] if "deviance" in row else []
        found += [f"log-likelihood {row['log_likelihood']:.4g} nats per entry"]
        if "coverage" in row:
            found += [f"{per_cent(row['coverage'])} % lie in the 80 % intervals"]
        name = "validation" if part == "val" else part
        text = f"{row['num_entries']:,} held-out {name} features"
        lines.append(f"{text} ({row['likelihood']}): {'; '.join(found)}.")
    return "\n".join(lines)


def _per_graph_text(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the scores that are averaged over graphs, as notes; empty without any."""
    rows = {part: row for part, row in scores.items() if "auc_per_graph" in row}
    texts = [
        f"{'validation' if part == 'val' else part} AUC {per_cent(row['auc_per_graph'])}, AP"
        f" {per_cent(row['ap_per_graph'])} ({row['num_graphs_scored']:,} graphs)"
        for part, row in rows.items()
    ]
    if not texts:
        return ""
    rule = "the scores above are pooled over the pairs of all graphs"
    return f"averaged per graph: {'; '.join(texts)}; {rule}.\n"


def typed_scores_text(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the scores of each relation, given ``TypedEvaluation.to_dict`` of each part."""
    if not scores:
        return "no links were held out, so there is nothing to score"
    lines = [["", "relation", "links", "AUC", "95 %", "AP", "MRR", "hit@10"]]
    for part, found in scores.items():
        name = "validation" if part == "val" else part
        for relation, row in found["relations"].items():
            low, high = row["auc_interval"]
            line = [name, printable(relation), f"{row['num_links']:,}", per_cent(row["auc"])]
            line += [f"{per_cent(low)} - {per_cent(high)}", per_cent(row["ap"])]
            ranks = row["ranks"]["mrr"], row["ranks"]["hits_at_10"]
            lines.append([*line, *map(per_cent, ranks)])
        mean = [per_cent(found["auc"]), "", per_cent(found["ap"]), "", ""]
        lines.append([name, "(mean)", "", *mean])
    return columns(lines)


def tasks_text(tasks: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the scores of an embedding on classes and clusters."""
    texts = []
    if {"classes", "clusters"} & tasks.keys():
        texts.append("\nEmbedding of the whole graph, messages over all of its links:")
    if "classes" in tasks:
        lines = [["classes by logistic regression", "accuracy", "macro F1"]]
        names = {"public": "the public split", "random": "ten random splits"}
        for name, row in tasks["classes"].items():
            if row is not None:
                lines.append([names[name]])
                for score in ("accuracy", "macro_f1"):
                    deviation = per_cent(row[score + "_deviation"])
                    lines[-1].append(f"{per_cent(row[score])} ± {deviation}")
        texts.append(columns(lines, right=(1, 2)))
    if "clusters" in tasks:
        values = [per_cent(tasks["clusters"][name]) for name in ("acc", "nmi", "ari")]
        lines = [["clusters by k-means", "ACC", "NMI", "ARI"], ["all labelled nodes", *values]]
        texts.append(columns(lines, right=(1, 2, 3)))
    if "graphs" in tasks:
        texts.append(_graph_tasks_text(tasks["graphs"]))
    return "\n".join(texts)


def _graph_tasks_text(found: Mapping[str, Any]) -> str:
    """Return the scores of graph vectors on classes and clusters."""
    classes, clusters = found["classes"], found["clusters"]
    lines = [["classes by logistic regression", "accuracy", "macro F1"]]
    names = {
        "vectors": f"vectors ({found['readout']})",
        "size": "numbers of nodes and links alone",
        "majority": "most frequent class",
    }
    for key, name in names.items():
        row = classes[key]
        cells = (
            f"{per_cent(row[score])} ± {per_cent(row[score + '_deviation'])}"
            for score in ("accuracy", "macro_f1")
        )
        lines.append([name, *cells])
    values = [per_cent(clusters[name]) for name in ("acc", "nmi", "ari")]
    others = [["clusters by k-means", "ACC", "NMI", "ARI"], ["all labelled graphs", *values]]
    head = (
        f"\nVectors of {classes['num_graphs']:,} labelled graphs, messages over all links;"
        f" {classes['num_folds']} folds:"
    )
    tables = columns(lines, right=(1, 2)), columns(others, right=(1, 2, 3))
    return "\n".join([head, *tables])


def image_scores_text(scores: Mapping[str, Any] | None) -> str:
    """Return the scores on test images, given ``ImageEvaluation.to_dict()``."""
    if scores is None:
        return "no images were held out for test, so there is nothing to score"

    def row(title: str, name: str, error: str = "") -> list[str]:
        values = (scores[name], scores.get(error))
        return [title, *("" if value is None else f"{value:.2f}" for value in values)]

    lines = [["nats per test image", "", "± s.e."], row("ELBO", "elbo", "elbo_error")]
    lines += [row("  log p(x | z)", "log_likelihood"), row("  KL", "kl")]
    if scores["log_marginal"] is not None:
        title = f"log p(x), {scores['num_samples']:,} samples"
        lines.append(row(title, "log_marginal", "log_marginal_error"))
    active = f"{scores['active_units']} of {scores['latent_channels']}"
    return f"{columns(lines, right=(1, 2))}\n\n{active} latent dimensions are active."

"""Tables of link prediction: means over splits, ensembles of seeds, paired comparisons."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from harness import Row
from link_peers import PUBLISHED
from scipy.stats import wilcoxon

from vgae.evaluation.calibration import fit_calibration
from vgae.evaluation.metrics import link_scores
from vgae.evaluation.reliability import reliability

PROTOCOLS = {
    "train": "messages over training links only (Kipf & Welling)",
    "train+val": "messages over training and validation links (PyG's split, MaskGAE)",
}
FIGURES = ("auc", "ap")
Group = tuple[str, str, str]  # data set, features, row


def summarise(results: Sequence[Row]) -> Row:
    """Return means, ensembles and comparisons of jobs, as plain values.

    Args:
        results: Of ``quality.Job.run``, with the path of their logits.
    """
    singles: dict[Group, list[Row]] = defaultdict(list)
    members: dict[tuple[Group, int], list[Row]] = defaultdict(list)
    for result in results:
        group = (result["dataset"], result["features"], result["row"])
        members[group, result["seed"]].append(result)
        if result["member"] == 0:
            singles[group].append(result)
    ensembles: dict[Group, list[Row]] = defaultdict(list)
    for (group, _), rows in members.items():
        if len(rows) > 1:
            ensembles[group].append(together(rows))
    rows = [single_row(group, trials) for group, trials in singles.items()]
    rows += [ensemble_row(group, trials) for group, trials in ensembles.items()]
    return {"rows": rows, "paired": paired(singles)}


def single_row(group: Group, trials: Sequence[Row]) -> Row:
    """Return mean and deviation over the splits of everything that one training is judged by."""
    row = head(group, len(trials), 1) | links_scores(trials, ("val", *PROTOCOLS))
    picks = {
        "hits_at_50": ("hits_at_50",),
        "mrr": ("ranks", "mrr"),
        "node_hits_at_10": ("ranks", "hits_at_10"),
        "hard_mrr": ("hard", "mrr"),
        "hard_hits_at_10": ("hard", "hits_at_10"),
        "ece_sigmoid": ("sigmoid", "ece"),
        "ece_platt": ("platt", "ece"),
        "brier_platt": ("platt", "brier"),
        "public_accuracy": ("tasks", "classes", "public", "accuracy"),
        "random_accuracy": ("tasks", "classes", "random", "accuracy"),
        "cluster_acc": ("tasks", "clusters", "acc"),
        "cluster_nmi": ("tasks", "clusters", "nmi"),
        "cluster_ari": ("tasks", "clusters", "ari"),
        "seconds": ("seconds",),
    }
    for name, path in picks.items():
        values = [at(t, path) for t in trials]
        row[name] = None if None in values else spread(values)
    row["ece_floor"] = spread(floor(t) for t in trials)
    return row


def floor(trial: Row, draws: int = 50) -> float:
    """Return the calibration error that is left if the Platt probabilities were the truth.

    Labels are drawn from them, as many as there are test pairs: what is measured then is noise.
    """
    logits = {name: torch.from_numpy(values) for name, values in np.load(trial["logits"]).items()}
    label = torch.tensor([1.0, 0.0]).repeat_interleave(len(logits["val"]) // 2)
    probability = fit_calibration(logits["val"], label).probability(logits["train"])
    generator = torch.Generator().manual_seed(trial["seed"])
    drawn = (probability.bernoulli(generator=generator) for _ in range(draws))
    return mean(reliability(probability, labels).calibration_error() for labels in drawn)


def ensemble_row(group: Group, trials: Sequence[Row]) -> Row:
    """Return mean and deviation over the splits of an ensemble's AUC, AP and seconds."""
    row = head(group, len(trials), trials[0]["members"]) | links_scores(trials, PROTOCOLS)
    return row | {"seconds": spread(t["seconds"] for t in trials)}


def links_scores(trials: Sequence[Row], names: Iterable[str]) -> Row:
    """Return mean and deviation of AUC and AP by protocol, where every trial has them."""
    return {
        name: {figure: spread(t[name][figure] for t in trials) for figure in FIGURES}
        for name in names
        if all(name in t for t in trials)
    }


def together(rows: Sequence[Row]) -> Row:
    """Return the scores of the mean of several trainings' logits, on one split.

    Each is brought to mean 0 and deviation 1 over its validation pairs before.
    """
    logits = [np.load(row["logits"]) for row in rows]
    result: Row = {"members": len(rows), "seconds": sum(row["seconds"] for row in rows)}
    for protocol in PROTOCOLS:
        if any(protocol not in one for one in logits):
            continue
        parts = [(one[protocol] - one["val"].mean()) / one["val"].std() for one in logits]
        score = torch.from_numpy(np.mean(parts, axis=0))
        label = torch.cat([torch.ones(len(score) // 2), torch.zeros(len(score) // 2)])
        result[protocol] = link_scores(score, label)._asdict()
    return result


def paired(singles: Mapping[Group, Sequence[Row]]) -> list[Row]:
    """Compare ``best`` with every other row, split by split."""
    comparisons = []
    for (dataset, features, other), trials in singles.items():
        best = {t["seed"]: t for t in singles.get((dataset, features, "best"), [])}
        pairs = [(best[t["seed"]], t) for t in trials if t["seed"] in best]
        if other == "best" or not pairs:
            continue
        for protocol in PROTOCOLS:
            if any(protocol not in trial for pair in pairs for trial in pair):
                continue
            for figure in FIGURES:
                differences = [a[protocol][figure] - b[protocol][figure] for a, b in pairs]
                comparisons.append(
                    {
                        "dataset": dataset,
                        "features": features,
                        "other": other,
                        "protocol": protocol,
                        "figure": figure,
                        "difference": mean(differences),
                        "wins": sum(d > 0 for d in differences),
                        "splits": len(differences),
                        "wilcoxon_p": float(wilcoxon(differences).pvalue),
                    }
                )
    return comparisons


def tables(summary: Row) -> str:
    """Return the summary as Markdown, one table per data set and kind of features."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in summary["rows"]:
        groups[row["dataset"], row["features"]].append(row)
    return "\n\n".join(
        f"### {dataset}, features: {features}\n\n{links_table(rows, summary['paired'])}"
        f"{hard_table(rows)}"
        for (dataset, features), rows in groups.items()
    )


def links_table(rows: Sequence[Row], comparisons: Sequence[Row]) -> str:
    """Return AUC and AP under both protocols, and how often ``best`` is ahead."""
    last = ["AUC, +val", "AP, +val", "validation AUC", "published", "s"]
    lines = [["row", "AUC", "AP", "best ahead (AUC, AP)", *last]]
    for row in sorted(rows, key=lambda row: -row["train"]["auc"]["mean"]):
        scores = [per_cent(at(row, (p, figure))) for p in PROTOCOLS for figure in FIGURES]
        single = row["members"] == 1
        published = PUBLISHED.get((row["dataset"], row["row"])) if single else None
        ahead = wins(row, comparisons) if single else ""
        lines.append(
            [
                row["row"] + ("" if single else f" × {row['members']}"),
                *scores[:2],
                ahead,
                *scores[2:],
                per_cent(at(row, ("val", "auc"))),
                "" if published is None or row["features"] != "raw" else told(published),
                f"{row['seconds']['mean']:.0f}",
            ]
        )
    return markdown(lines)


def hard_table(rows: Sequence[Row]) -> str:
    """Return the other measures of single trainings, after an empty line; or nothing."""
    columns = {
        "MRR": "mrr",
        "hit@10 per node": "node_hits_at_10",
        "hard MRR": "hard_mrr",
        "hard hit@10": "hard_hits_at_10",
        "Hits@50": "hits_at_50",
        "ECE, sigmoid": "ece_sigmoid",
        "ECE, Platt": "ece_platt",
        "if it were perfect": "ece_floor",
        "classes, public": "public_accuracy",
        "classes, random": "random_accuracy",
        "clusters ACC": "cluster_acc",
        "NMI": "cluster_nmi",
        "ARI": "cluster_ari",
    }
    singles = [row for row in rows if row["members"] == 1 and row["mrr"]]
    if not singles:
        return ""
    shown = {k: v for k, v in columns.items() if any(row[v] for row in singles)}
    lines = [["row", *shown]]
    for row in sorted(singles, key=lambda row: -row["mrr"]["mean"]):
        lines.append([row["row"], *(per_cent(row[name]) for name in shown.values())])
    return f"\n\n{markdown(lines)}"


def head(group: Group, splits: int, members: int) -> Row:
    """Return what a row is of."""
    dataset, features, row = group
    return {"dataset": dataset, "features": features, "row": row} | {
        "splits": splits,
        "members": members,
    }


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return mean and standard deviation (n - 1; 0 for one)."""
    values = list(values)
    return {"mean": mean(values), "deviation": stdev(values) if len(values) > 1 else 0.0}


def at(content: Any, path: Sequence[str]) -> Any:
    """Return what lies at a path of keys, ``None`` where it ends early."""
    for name in path:
        content = None if content is None else content.get(name)
    return content


def per_cent(figure: Mapping[str, float] | None) -> str:
    """Return mean and deviation in per cent."""
    if figure is None:
        return ""
    return f"{100 * figure['mean']:.2f} ± {100 * figure['deviation']:.2f}"


def wins(row: Row, comparisons: Sequence[Row]) -> str:
    """Return how many splits ``best`` wins against a row, and Wilcoxon's p, by AUC and by AP."""
    same = [
        c
        for c in comparisons
        if (c["dataset"], c["features"], c["other"])
        == (row["dataset"], row["features"], row["row"])
        and c["protocol"] == "train"
    ]
    return ", ".join(f"{c['wins']}/{c['splits']} (p = {c['wilcoxon_p']:.3f})" for c in same)


def told(published: Any) -> str:
    """Return a published figure in per cent."""
    ap = "-" if published.ap is None else f"{100 * published.ap:.1f}"
    return f"{100 * published.auc:.1f} / {ap}"


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; all but the first column flush right."""
    top, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([top, "|---" + "|--:" * (len(lines[0]) - 1) + "|", *rest])

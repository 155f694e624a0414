"""What the commands print on stdout: aligned columns for people, one line of JSON for machines."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vgae.errors import printable
from vgae.runtime.text import columns

if TYPE_CHECKING:
    from vgae.evaluation.calibration import Calibration
    from vgae.runs.graphs import Run
    from vgae.runs.images import ImageRun
    from vgae.runs.table import Summary


def print_json(content: Any) -> None:
    """Print strict JSON on one line."""
    typer.echo(json.dumps(content, allow_nan=False))


def graph_line(graph: Mapping[str, Any]) -> str:
    """Return what ``config.json`` says of a graph, with what was dropped or merged."""
    text = (
        f"{printable(str(graph['name']))}: {graph['num_nodes']:,} nodes, {graph['num_links']:,}"
        f"{' weighted' if graph.get('weighted') else ''} links, {graph['num_features']:,} features"
    )
    words = {
        "self_loops": "{:,} self-loops dropped",
        "num_isolated": "{:,} nodes without a link",
        "num_components": "{:,} components",
        "repeats": "{:,} repeated edges merged",
        "both_ways": "{:,} links given in both directions",
        "one_way": "{:,} in one",
    }
    # Told where it says something; runs of earlier versions do not know.
    shape = {"num_isolated": graph.get("num_isolated", 0)}
    if graph.get("num_components", 1) > 1:
        shape["num_components"] = graph["num_components"]
    counts = {**shape, **graph["notes"]}
    notes = [
        words[name].format(count) for name, count in counts.items() if count and name in words
    ]
    return text + (f" ({', '.join(notes)})" if notes else "")


def print_run(run: "Run") -> None:
    """Print what was trained, and how it did."""
    metrics, split = run.metrics, run.split
    typer.echo(
        f"graph   {graph_line(run.config['graph'])}\n"
        f"split   {split.train.shape[1]:,} links to train on, {split.val.pos.shape[1]:,} for"
        f" validation, {split.test.pos.shape[1]:,} for test; audited, nothing leaks\n"
        f"model   {run.config['model']}, recipe {run.config['recipe']['name']},"
        f" epoch {metrics['epoch']} of {metrics['epochs']} kept, {metrics['seconds']:.1f} s\n"
    )
    print_scores({part: metrics[part] for part in ("val", "test") if part in metrics})


def print_scores(scores: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what ``LinkEvaluation.to_dict`` says of each part of a split."""
    if not scores:
        typer.echo("no links were held out, so there is nothing to score")
        return
    is_calibrated = all(row["calibrated"] for row in scores.values())
    hard = all(row["hard"] for row in scores.values())
    probabilities = "calibrated" if is_calibrated else "sigmoid"
    lines = [["", "AUC", "95 %", "AP", "95 %", "Hits@50", "MRR", "hit@10"]]
    lines[0] += [*(["hard MRR"] if hard else []), "ECE"]
    for part, row in scores.items():
        line = ["validation" if part == "val" else part]
        for figure in ("auc", "ap"):
            low, high = row[f"{figure}_interval"]
            line += [per_cent(row[figure]), f"{per_cent(low)} - {per_cent(high)}"]
        ranks = [row["ranks"]["mrr"], row["ranks"]["hits_at_10"]]
        ranks += [row["hard"]["mrr"]] if hard else []
        line += [per_cent(share) for share in (row["hits_at_50"], *ranks)]
        lines.append([*line, f"{row[probabilities]['ece']:.3f}"])
    print_columns(lines, right=range(1, len(lines[0])))
    sigmoid = ", ".join(f"{row['sigmoid']['ece']:.3f}" for row in scores.values())
    typer.echo(
        "\nMRR, hit@10: rank of a link's end among all nodes, known links left out"
        + "".join(
            f"; {row['ranks']['num_links']:,} {part} links, the first of all"
            for part, row in scores.items()
            if row["ranks"]["num_links"] < row["num_links"]
        )
        + "."
        + (
            "\nECE: of calibrated probabilities, on as many non-links as links; the bare sigmoid"
            f" has {sigmoid}."
            if is_calibrated
            else "\nECE: of the bare sigmoid."
        )
    )


def print_calibration(calibration: "Calibration") -> None:
    """Print what a calibration does, and its threshold."""
    c = calibration
    rule = {
        "platt": f"log odds = {c.slope:.4g} * logit {c.intercept:+.4g}",
        "temperature": f"log odds = {c.slope:.4g} * logit",
        "isotonic": f"a rising line through {len(c.x)} points",
    }[c.method]
    typer.echo(
        f"{c.method}: {rule}, fitted on validation pairs; prior {c.prior}"
        f" ({c.log_odds_shift:+.4g})\n"
        f"threshold {c.threshold:.4g} for {c.goal}: precision {per_cent(c.precision)}, recall"
        f" {per_cent(c.recall)}, F1 {per_cent(c.f1)} on validation pairs"
    )


def print_tasks(tasks: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what :func:`vgae.evaluation.tasks.evaluate_embedding` says of classes and clusters."""
    typer.echo("\nEmbedding of the whole graph, messages over all of its links:")
    if "classes" in tasks:
        lines = [["classes by logistic regression", "accuracy", "macro F1"]]
        names = {"public": "the public split", "random": "ten random splits"}
        for name, row in tasks["classes"].items():
            if row is not None:
                figures = [
                    f"{per_cent(row[f])} ± {per_cent(row[f + '_deviation'])}"
                    for f in ("accuracy", "macro_f1")
                ]
                lines.append([names[name], *figures])
        print_columns(lines, right=(1, 2))
    if "clusters" in tasks:
        figures = [per_cent(tasks["clusters"][name]) for name in ("acc", "nmi", "ari")]
        lines = [["clusters by k-means", "ACC", "NMI", "ARI"], ["all labelled nodes", *figures]]
        print_columns(lines, right=(1, 2, 3))


def per_cent(share: float) -> str:
    """Return a share in per cent with two decimals."""
    return f"{100 * share:.2f}"


def print_written(run: "Run") -> None:
    """Print what a training wrote, and what to do next."""
    nodes = run.config["graph"]["num_nodes"]
    width = run.config["recipe"]["latent_channels"]
    written = {
        "config.json": "every setting and version",
        "split.npz": "the links held out, and their non-links",
        "history.jsonl": "loss, its parts and validation scores, a row per epoch",
        "metrics.json": "AUC, AP, ranks, calibration",
        "model/": "weights (safetensors), what rebuilds the model, calibration",
        "checkpoints/": "weights of the best and of the last epoch",
        "embeddings.npz": f"ids and posteriors of {nodes:,} nodes, {width} dimensions",
        "figures/": "training.png, embedding.png, links.png",
    }
    source, labelled = run.config["graph"]["source"], run.graph.y is not None
    commands = {f"vgae report {run.folder}": "a page with all of it, for a browser"}
    commands |= {f"vgae predict {run.folder}": "the links that it would bet on"}
    commands |= {f"vgae embed {run.folder} -o embeddings.csv": "the embeddings, for a spreadsheet"}
    if labelled:
        told = "and how well classes are told apart"
        commands |= {f"vgae evaluate {run.folder} --tasks links,classes": told}
    table = f"vgae table --datasets {source} --seeds 3"
    commands |= {table: "mean and deviation, GAE beside VGAE"}
    _print_end(run.folder, written, commands)


def _print_end(folder: Path, written: Mapping[str, str], commands: Mapping[str, str]) -> None:
    typer.echo(f"\nWritten to {folder}:")
    print_columns([[f"  {name}", text] for name, text in written.items()])
    typer.echo("\nTry next:")
    print_columns([[f"  {command}", f"# {text}"] for command, text in commands.items()])


def print_image_run(run: "ImageRun") -> None:
    """Print what was trained on images, and how it did."""
    images, metrics, recipe = run.config["images"], run.metrics, run.recipe
    channels, height, width = images["shape"]
    colours = "grey" if channels == 1 else f"{channels} channels"
    typer.echo(
        f"images  {images['name']}: {height} x {width}, {colours}; {images['num_train']:,} to"
        f" train on, {images['num_val']:,} for validation, {images['num_test']:,} for test\n"
        f"model   {run.config['model']}, recipe {recipe.name}, {recipe.latent_channels} latent"
        f" dimensions, epoch {metrics['epoch']} of {metrics['epochs']} kept,"
        f" {metrics['seconds']:.1f} s\n"
    )
    print_image_scores(metrics["test"])


def print_image_scores(scores: Mapping[str, Any] | None) -> None:
    """Print what :meth:`vgae.evaluation.images.ImageEvaluation.to_dict` says of test images."""
    if scores is None:
        typer.echo("no images were held out for test, so there is nothing to score")
        return
    estimate, k = scores["log_marginal"], scores["num_samples"]
    lines = [["nats per test image", "", "± s.e."]]
    lines.append(["ELBO", f"{scores['elbo']:.2f}", _error(scores["elbo_error"])])
    lines.append(["  log p(x | z)", f"{scores['log_likelihood']:.2f}", ""])
    lines.append(["  KL", f"{scores['kl']:.2f}", ""])
    if estimate is not None:
        error = _error(scores["log_marginal_error"])
        lines.append([f"log p(x), {k:,} samples", f"{estimate:.2f}", error])
    print_columns(lines, right=(1, 2))
    typer.echo(
        f"\n{scores['active_units']} of {scores['latent_channels']} latent dimensions are active."
    )


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def print_image_end(run: "ImageRun") -> None:
    """Print what a training on images wrote, and what to do next."""
    pictures = ", ".join(sorted(path.name for path in (run.folder / "figures").glob("*.png")))
    written = {
        "config.json": "every setting and version",
        "history.jsonl": "loss, its parts and validation ELBO, a row per epoch",
        "metrics.json": "ELBO, log p(x), active dimensions",
        "model/": "weights (safetensors), what rebuilds the model",
        "checkpoints/": "weights of the best and of the last epoch",
        "embeddings.npz": "posteriors of the test images",
        "figures/": pictures,
    }
    z = ",".join(["0"] * min(run.recipe.latent_channels, 2))
    commands = {
        f"vgae sample {run.folder}": "new images",
        f"vgae reconstruct {run.folder}": "test images, encoded and decoded",
        f"vgae evaluate {run.folder} --samples 500": "log p(x), closer",
    }
    if run.recipe.latent_channels == 2:
        commands[f"vgae decode {run.folder} --z {z}"] = "the image at a point of the plane"
    _print_end(run.folder, written, commands)


def print_table(summaries: "Sequence[Summary]", text: str) -> None:
    """Print mean and deviation of each data set and model, beside what was published."""
    lines = [["data set", "model", "AUC", "AP", "published AUC", "AP"]]
    for row in summaries:
        ours = [
            f"{100 * m:.2f} ± {100 * d:.2f}" for m, d in zip(row.mean, row.deviation, strict=True)
        ]
        published = (
            ["-", "-"] if row.published is None else [f"{100 * p:.1f}" for p in row.published]
        )
        lines.append([row.dataset, row.model, *ours, *published])
    print_columns(lines, right=(2, 3, 4, 5))
    typer.echo(f"\n{text}")


def print_columns(lines: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print lines of :func:`vgae.runtime.text.columns`."""
    typer.echo(columns(lines, right))

"""Presentation of runs on graphs, on typed graphs and on images."""

import shlex
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch

from vgae.errors import printable
from vgae.graphs.collection import GraphCollection
from vgae.recipes import DEFAULT, RECIPES, Recipe
from vgae.report.text import (
    feature_scores_text,
    graph_line,
    health_text,
    image_scores_text,
    link_scores_text,
    tasks_text,
    typed_scores_text,
)
from vgae.report.view import RunView, SharedLayout
from vgae.runs.clusters import CLUSTERS
from vgae.runs.folder import is_named, stored_recipe
from vgae.runs.graphs import GraphSource, Run
from vgae.runs.images import ImageRun
from vgae.runs.kind import kind_of
from vgae.runs.typed import TypedRun


class _GraphView(RunView):
    places: ClassVar = {
        "settings": "vgae.report.pages.graphs:settings",
        "compare": "vgae.report.pages.compared_links:compared_links",
        "figures": "vgae.report.figures.paper_layouts:OF_GRAPHS",
    }

    def summary(self, run: Run) -> str:
        metrics, split = run.metrics, run.split
        return (
            f"graph   {graph_line(run.config['graph'])}\n"
            f"split   {_whole_graphs(run)}{split.train.shape[1]:,} links for training,"
            f" {split.val.pos.shape[1]:,} for validation, {split.test.pos.shape[1]:,} for test;"
            f" {_audited(run)}\n"
            f"model   {run.config['model']}, recipe {run.config['recipe']['name']},"
            f" epoch {metrics['epoch']} of {metrics['epochs']} kept,"
            f" {metrics['seconds']:.1f} s\n{health_text(metrics)}\n{self.scores(metrics)}"
        )

    def scores(self, scores: Mapping[str, Any]) -> str:
        links = {part: scores[part] for part in ("val", "test") if part in scores}
        names = ("classes", "clusters", "graphs")
        tasks = {task: scores[task] for task in names if task in scores}
        texts = [link_scores_text(links)] if links or not tasks else []
        if features := scores.get("features"):
            texts.append(feature_scores_text(features))
        return "\n".join([*texts, tasks_text(tasks)] if tasks else texts)

    def commands(self, run: Run) -> Mapping[str, str]:
        from vgae.report.pages.repeating import shell_command

        folder, recipe = shlex.quote(str(run.folder)), stored_recipe(Recipe, run.config)
        commands = {
            f"vgae report {folder}": "a page about the run, for a browser",
            f"vgae predict {folder}": "proposed links",
            f"vgae embed {folder} -o embeddings.csv": "the embeddings, for a spreadsheet",
            f"vgae clusters {folder}": "communities of the nodes and their typical features",
            **_imputing(run, folder),
        }
        if isinstance(run.graph, GraphCollection):
            graphs = f"vgae embed {folder} --graphs -o graphs.csv"
            commands[graphs] = "vector, size and anomaly score of each graph"
            if run.graph.graph_y is not None:
                commands[f"vgae evaluate {folder} --tasks graphs"] = "a classifier of the graphs"
        if run.graph.y is not None:
            tasks = f"vgae evaluate {folder} --tasks links,classes"
            commands[tasks] = "and the accuracy of a classifier of the nodes"
        source = kind_of(run.config).located(run.folder, run.config)
        table, words = _near(source.source), source.reading.to_words()
        if words or source.features not in ("raw", "none"):
            # vgae table has no options of reading; it reads one file.
            words += [] if source.features == "raw" else ["--features", source.features]
            words = " ".join([table, *map(_near, words)])
            file = Path(source.source)
            ending = "-converted.npz" if file.suffix == ".npz" else ".npz"  # another file
            table = shlex.quote(f"{file.name.split('.')[0]}{ending}")
            commands[f"vgae convert {words} -o {table}"] = "the graph and its features in one file"
        table = f"vgae table --datasets {table} --seeds 3"
        if source.features == "none":
            table += " --features none"
        name = run.config["recipe"].get("name")
        if name in RECIPES and name != DEFAULT.name:
            table += f" --recipe {name}"
        if changes := shell_command([], recipe, RECIPES.get(name, DEFAULT)):
            table += f" {changes}"
        table += _split_words(source, run.folder)
        if run.graph.directed:
            table += " --models source-target-gae,source-target-vgae"
        return commands | {table: "mean and deviation of GAE and VGAE"}

    def draw(self, run: Run) -> None:
        from vgae.report.figures.graphs import write_figures

        write_figures(run, run.embedding.numpy())

    def page(self, run: Run, *, top_k: int = 200) -> str:
        from vgae.report.pages.graphs import graph_page

        return graph_page(run, top_k=top_k)

    def shared_figures(self) -> Mapping[str, SharedLayout]:
        from vgae.report.figures.paper_layouts import compared

        return {name: partial(compared, name) for name in ("roc", "pr")}

    def drawable(self, run: Run) -> list[str]:
        names = [*(["curves"] if run.history else []), "embedding"]
        names += ["clusters"] if (run.folder / CLUSTERS).is_file() else []
        tested = run.split.test.pos.shape[1] and run.split.test.neg.shape[1]
        return names + (["roc", "pr", "reliability", "histogram"] if tested else [])


def _imputing(run: Run, folder: str) -> dict[str, str]:
    """Return the command that imputes missing features, if the model can and there are some."""
    names = run.config["recipe"].get("reconstruct", "").split(",")
    if "features" not in map(str.strip, names) or run.graph.missing is None:
        return {}
    return {f"vgae impute {folder}": "the missing features, with standard deviations"}


def _whole_graphs(run: Run) -> str:
    """Return the numbers of graphs of each part, for a split by whole graphs."""
    part = run.split.graph_part
    if part is None:
        return ""
    train, val, test = torch.bincount(part.long(), minlength=3).tolist()
    counts = f"{train:,} for training, {val:,} for validation, {test:,} for test"
    return f"whole graphs: {counts};\n        "


def _audited(run: Run) -> str:
    """Return the result of the audit of a split, and each deviation on a line of its own."""
    found = [check.finding for check in run.split.audit(run.graph) if check.violations]
    if not found:
        return "audited, nothing leaks"
    return "\n        ".join(["audited, no held-out link leaks", *found])


def _split_words(source: GraphSource, folder: Path) -> str:
    """Return the options with which ``vgae table`` splits as a run did."""
    if source.split is not None:
        return f" --split {_near(source.split)}"
    if source.split_by_time is not None:
        return f" --split {shlex.quote(str(folder / 'split.npz'))}"
    return "" if source.split_by == "links" else f" --split-by {source.split_by}"


def _near(path: str) -> str:
    """Return a path for the shell, from the current folder if it lies there."""
    with suppress(ValueError):
        near = str(Path(path).relative_to(Path.cwd()))
        path = f"./{near}" if is_named(near) else near
    return shlex.quote(path)


class _ImageView(RunView):
    places: ClassVar = {
        "page": "vgae.report.pages.images:image_page",
        "settings": "vgae.report.pages.images:settings",
        "compare": "vgae.report.pages.compared_images:compared_images",
        "figures": "vgae.report.figures.paper_layouts:OF_IMAGES",
    }

    def summary(self, run: ImageRun) -> str:
        images, metrics, recipe = run.config["images"], run.metrics, run.recipe
        channels, height, width = images["shape"]
        colours = "grey" if channels == 1 else f"{channels} channels"
        return (
            f"images  {printable(str(images['name']))}: {height} x {width}, {colours};"
            f" {images['num_train']:,} for training, {images['num_val']:,} for validation,"
            f" {images['num_test']:,} for test\n"
            f"model   {run.config['model']}, recipe {recipe.name}, {recipe.latent_channels} latent"
            f" dimensions, epoch {metrics['epoch']} of {metrics['epochs']} kept,"
            f" {metrics['seconds']:.1f} s\n{health_text(metrics)}\n{self.scores(metrics)}"
        )

    def scores(self, scores: Mapping[str, Any]) -> str:
        return image_scores_text(scores["test"])

    def commands(self, run: ImageRun) -> Mapping[str, str]:
        folder = shlex.quote(str(run.folder))
        commands = {
            f"vgae sample {folder}": "new images",
            f"vgae reconstruct {folder}": "test images, encoded and decoded",
            f"vgae evaluate {folder} --samples 500": "a closer estimate of log p(x)",
            f"vgae clusters {folder}": "clusters of the test images",
        }
        if run.recipe.latent_channels == 2:
            commands[f"vgae decode {folder} --z 0,0"] = "the image at a point of the plane"
        return commands

    def draw(self, run: ImageRun) -> None:
        from vgae.report.figures.images import write_image_figures

        if len(run.images.test):
            write_image_figures(run.folder / "figures", run.model, run.images, run.history)

    def drawable(self, run: ImageRun) -> list[str]:
        names = ["curves"] if run.history else []
        held_out = run.config["images"].get("num_test", 0)
        names += ["embedding", "reconstructions"] if held_out else []
        return names + (["manifold"] if run.recipe.latent_channels == 2 else [])


class _TypedView(RunView):
    def summary(self, run: TypedRun) -> str:
        graph, metrics = run.config["typed_graph"], run.metrics
        types = ", ".join(f"{printable(k)} {n:,}" for k, n in graph["node_types"].items())
        links = ", ".join(f"{printable(k)} {n:,}" for k, n in graph["relations"].items())
        return (
            f"graph   {printable(str(graph['name']))}: {graph['num_nodes']:,} nodes ({types}),"
            f" {graph['num_links']:,} links ({links}), {graph['num_features']:,} features\n"
            f"model   {run.config['model']}, recipe {run.config['recipe']['name']},"
            f" epoch {metrics['epoch']} of {metrics['epochs']} kept,"
            f" {metrics['seconds']:.1f} s\n{health_text(metrics)}\n{self.scores(metrics)}"
        )

    def scores(self, scores: Mapping[str, Any]) -> str:
        return typed_scores_text({p: scores[p] for p in ("val", "test") if p in scores})

    def commands(self, run: TypedRun) -> Mapping[str, str]:
        folder = shlex.quote(str(run.folder))
        relation = shlex.quote(str(next(iter(run.config["typed_graph"]["relations"]))))
        return {
            f"vgae predict {folder} --relation {relation}": "proposed links",
            f"vgae embed {folder} -o embeddings.csv": "the embeddings, for a spreadsheet",
            f"vgae clusters {folder}": "communities of the nodes and their typical features",
        }


GRAPHS, IMAGES, TYPED = _GraphView(), _ImageView(), _TypedView()

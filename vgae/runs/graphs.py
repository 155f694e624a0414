"""Runs on graphs."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

from torch import Tensor

from vgae.data.reading import Reading
from vgae.data.splits import read_split, split_by_time
from vgae.errors import ArtifactError, UsageError
from vgae.evaluation.calibration import Calibration, load_calibration
from vgae.evaluation.links import Messages, PairScorer, calibrate, evaluate
from vgae.graphs.collection import GraphCollection
from vgae.graphs.defaults import TEST_FRACTION, VAL_FRACTION, Task
from vgae.graphs.encoding import TableEncoder
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, split_links
from vgae.models.embedding import embed
from vgae.models.pretrained import from_pretrained, load_feature_encoder, save_pretrained
from vgae.models.registry import AUTO, model_for
from vgae.prediction.export import node_labels, read_embeddings, write_embeddings
from vgae.recipes import DEFAULT, Recipe, recipe_named
from vgae.runs.collections import (
    embedded_graphs,
    evaluate_graph_vectors,
    typical_of,
    write_graphs,
)
from vgae.runs.commands import Embedding, EmbeddingOptions, EvaluationOptions
from vgae.runs.digests import check_digests
from vgae.runs.features import SplitModel, feature_scores, without_held_out
from vgae.runs.folder import is_named, read_paths, shown_source
from vgae.runs.kind import Config, FinishedRun, RunKind, Source, files_with, still_complete
from vgae.runs.lifecycle import train
from vgae.runs.opening import (
    check_names,
    located_labels,
    open_graph,
    open_like,
    reading_entry,
    reading_of,
)
from vgae.runtime.devices import Compute
from vgae.training.links import prepare
from vgae.training.prepared import PreparedTraining
from vgae.training.trainer import FitResult


@dataclass(frozen=True)
class GraphSource(Source):
    """Origin of a graph, and its split.

    Attributes:
        features: See :func:`vgae.runs.opening.open_graph`; ``"none"`` trains on the links alone.
        reading: Options of reading; ``time`` is ``split_by_time``.
        val: Fraction of the links for validation; see :func:`vgae.split_links`.
        test: Fraction of the links for test.
        split: Path of a split, in place of fractions; see :func:`vgae.read_split`.
        split_by_time: Column of an edge list with the time of each edge: the last links are held
            out; see :func:`vgae.data.splits.split_by_time`.
        task: What is predicted in a directed graph; see :func:`vgae.split_links`.
        split_by: ``"links"``, or ``"graphs"`` to hold out whole graphs of a collection.
        hold_features: Fraction of the known features that are missing in the graph of the run, to
            be predicted; see :func:`vgae.split_features`.
    """

    features: str = "raw"
    reading: Reading = Reading()
    val: float = VAL_FRACTION
    test: float = TEST_FRACTION
    split: str | None = None
    split_by_time: str | None = None
    task: Task = "general"
    split_by: str = "links"
    hold_features: float = 0.0


@dataclass(frozen=True, eq=False, repr=False)
class Run(FinishedRun):
    """A finished training on a graph, in its folder.

    Attributes:
        split: Split of the links.
        calibration: Map from logits to probabilities; ``None`` without validation links.
        feature_encoder: What encodes a table of nodes as that of the training; ``None`` if the
            features were numbers.
    """

    split: LinkSplit
    calibration: Calibration | None = None
    feature_encoder: TableEncoder | None = None

    @cached_property
    def graph(self) -> Graph:
        """The graph, read again from its source.

        Raises:
            ArtifactError: If the graph has changed.
            LeakageError: If the split leaks.
        """
        graph = GRAPHS.reopen(self.folder, self.config)
        check_names(self.folder, graph)
        self.split.audit(graph)
        return graph

    @cached_property
    def embedding(self) -> Tensor:
        """Posterior mean of each node in ``embeddings.npz``, shape ``(N, d)``.

        Raises:
            ArtifactError: If the file is damaged, of other nodes, or of another run.
        """
        with still_complete(self.folder):
            q = read_embeddings(self.folder / "embeddings.npz", self.graph.ids)
            check_digests(self.folder, self.metrics, ["embeddings.npz"])
        return q.mu


class SplitGraph(NamedTuple):
    """A graph and the split of its links."""

    graph: Graph
    split: LinkSplit


class GraphRuns(RunKind[Run]):
    """Runs on graphs."""

    name, title, model = "graph", "a graph", AUTO
    keys: ClassVar = {"graph": dict, "model": str, "recipe": dict, "seed": int, "split": dict}
    source, recipe, run = GraphSource, Recipe, Run
    options = (
        *("features", *Reading.__dataclass_fields__, "val", "test", "split", "split_by_time"),
        *("task", "split_by", "max_memory", "cuda_graph", "tasks", "messages", "hard", "samples"),
        *("partition", "allow_seen", "graphs", "readout", "other", "top_k", "propose"),
        *("reconstruct", "hold_features"),
    )
    files: ClassVar = files_with(
        {
            "split.npz": "held-out links and their non-links",
            "metrics.json": "AUC, AP, ranks, calibration",
            "model/calibration.json": "map from scores to probabilities, and the threshold",
            "model/feature_encoder.json": "encoding of the table of nodes as features",
            "model/node_ids.json": "names of the nodes",
            "embeddings.npz": "name and posterior of each node",
            "graphs.npz": "name, size, anomaly score and vector of each graph of a collection",
            "figures/embedding.png": "figure: embedding of the nodes",
            "figures/links.png": "figure: scores of the test links",
            "figures/graphs.png": "figure: vectors and sizes of the graphs of a collection",
            "figures/examples.png": "figure: its most usual and most unusual graphs",
        }
    )
    tied: ClassVar = (
        *RunKind.tied,
        *("model/calibration.json", "model/feature_encoder.json", "model/node_ids.json"),
    )
    view = "vgae.report.views:GRAPHS"

    def recognises(self, source: str) -> bool:  # noqa: ARG002
        """Return ``True``: a source of no other kind is a graph, or an error that says so."""
        return True

    def named_recipe(self, name: str | None, source: str, *, progress: bool | None) -> Recipe:  # noqa: ARG002
        """Return a recipe by name, by default :data:`vgae.recipes.DEFAULT`."""
        return recipe_named(name or DEFAULT.name)

    def open(self, source: GraphSource, *, progress: bool | None = None) -> Graph:
        """Return the graph."""
        reading = replace(source.reading, time=source.split_by_time)
        graph = open_graph(source.source, source.features, reading, progress=progress)
        return without_held_out(graph, source.hold_features)

    def source_of(self, config: Config) -> GraphSource:
        """Return the source in the content of ``config.json``."""
        graph, split = config["graph"], config["split"]
        return GraphSource(
            source=str(graph["source"]),
            features=str(graph["features"]),
            reading=reading_of(config),
            val=split.get("val", VAL_FRACTION),
            test=split.get("test", TEST_FRACTION),
            split=split.get("path"),
            split_by_time=split.get("by_time"),
            task=split.get("task", "general"),
            split_by=split.get("by", "links"),
            hold_features=graph.get("hold_features", 0.0),
        )

    def paths(self, source: GraphSource) -> dict[str, str]:
        """Return the absolute paths of the files of links, features and split."""
        features, split = source.features, source.split
        more = {} if is_named(features) else {"features": str(Path(features).resolve())}
        more |= {} if split is None else {"split": str(Path(split).resolve())}
        labels = source.reading.graph_labels
        more |= {} if labels is None else {"graph_labels": str(Path(labels).resolve())}
        return super().paths(source) | more

    def located(self, folder: Path, config: Config, given: Any = None) -> GraphSource:
        """Return the source, with the path of the labels of graphs on this machine."""
        source, paths = super().located(folder, config, given), read_paths(folder)
        return replace(source, reading=located_labels(source.reading, paths | {**(given or {})}))

    def divide(
        self, data: Graph, source: GraphSource, seed: int, folder: Path | None = None
    ) -> SplitGraph:
        """Return the graph with the stored split of its links, or a new one."""
        # A process that was killed early may not have written it.
        if folder is not None and (folder / "split.npz").exists():
            return SplitGraph(data, LinkSplit.load(folder / "split.npz"))
        sizes: dict[str, Any] = {"val": source.val, "test": source.test, "seed": seed}
        _check_origin(source)
        if source.split is not None:
            split = read_split(source.split, data, seed=seed)
        elif source.split_by_time is not None:
            sizes["reading"] = source.reading
            split = split_by_time(source.source, data, source.split_by_time, **sizes)
        else:
            split = split_links(data, **sizes, task=source.task, by=source.split_by)
        return SplitGraph(data, split)

    def check_data(self, folder: Path, config: Config, data: SplitGraph) -> None:
        """Raise ``ArtifactError`` if the split is not the one that a run began with."""
        _check_split(folder, config, data.split)

    def write_data(self, folder: Path, data: SplitGraph) -> None:
        """Write ``split.npz``, if it is not there yet."""
        if not (folder / "split.npz").exists():
            data.split.save(folder / "split.npz")

    def model_for(self, data: SplitGraph, model: str | None) -> str:
        """Return a model by name, by default the one for the kind of graph."""
        return model_for(data.graph, model or self.model)

    def prepare(
        self, data: SplitGraph, *, model: Any, recipe: Any, seed: int, device: Compute
    ) -> PreparedTraining:
        """Return the training."""
        return prepare(*data, model=model, recipe=recipe, seed=seed, device=device)

    def describe(
        self, source: GraphSource, data: SplitGraph, model: str, prepared: PreparedTraining
    ) -> dict[str, Any]:
        """Return the entries of ``config.json``; the graph can be found and verified by them."""
        graph, text, features = data.graph, source.source, source.features
        return {
            "graph": {
                "source": shown_source(text),
                "features": shown_source(features),
                **graph.summary(),
                "fingerprint": graph.fingerprint,
                "directed": "keep" if graph.directed else source.reading.directed,
                **reading_entry(source.reading),
                **({"hold_features": source.hold_features} if source.hold_features else {}),
            },
            "model": model,
            "in_channels": getattr(prepared.model.encoder, "in_channels", graph.num_features),
            "recipe": asdict(prepared.recipe),
            "seed": prepared.seed,
            "split": _split_entry(source) | {"digest": data.split.digest},
        }

    def write(
        self,
        folder: Path,
        config: Config,
        data: SplitGraph,
        result: FitResult,
        **_: object,
    ) -> dict[str, Any]:
        """Write embeddings, calibration and model; return the scores."""
        graph, split = data
        scorer = PairScorer(result.model, graph, split.message_edge_index)
        write_embeddings(folder / "embeddings.npz", graph.ids, scorer.q)
        if isinstance(graph, GraphCollection):
            messages = split.message_edge_index
            write_graphs(folder / "graphs.npz", embedded_graphs(result.model, graph, messages))
        calibration = None
        if split.val.pos.shape[1] > 1:
            calibration = calibrate(scorer, graph, split)
        save_pretrained(
            result.model,
            folder / "model",
            node_ids=graph.node_ids,
            calibration=calibration,
            feature_encoder=graph.feature_encoder,
        )
        scores = evaluate(scorer, graph, split, calibration=calibration)
        return {
            "pairs": result.plan.pairs if result.plan else None,
            **{part: score.to_dict() for part, score in scores.items()},
            **feature_scores(self, folder, config, SplitModel(result.model, split)),
        }

    def load_parts(self, folder: Path, unchecked: Collection[str]) -> dict[str, Any]:
        """Return split, model, calibration unless unchecked, and encoder of the features."""
        is_wanted = "model/calibration.json" not in unchecked
        return {
            "split": LinkSplit.load(folder / "split.npz"),
            "model": from_pretrained(folder / "model"),
            "calibration": load_calibration(folder / "model") if is_wanted else None,
            "feature_encoder": load_feature_encoder(folder / "model"),
        }

    def check_run(self, run: Run, unchecked: Collection[str]) -> None:
        """Raise ``ArtifactError`` if split and model are not those of the run."""
        if "split.npz" in unchecked:
            return
        _check_split(run.folder, run.config, run.split)
        if {*run.model.trained_on} - {run.split.train_digest}:
            raise ArtifactError(
                "RUN_MIXED",
                f"{run.folder / 'model'} was trained on other links than those of split.npz beside"
                " it; bring back the files of this run, or train again.",
            )

    def attach(self, run: Run, data: SplitGraph) -> None:
        """Store the graph, and the split, whose deviations have been logged."""
        vars(run).update(data._asdict())

    def evaluate(self, run: Run, options: EvaluationOptions) -> dict[str, Any]:
        """Return the scores of each task."""
        from vgae.evaluation.tasks import evaluate_embedding  # scikit-learn takes a while

        found: dict[str, Any] = {}
        if "links" in options.tasks:
            scores = evaluate(
                *(run.model, run.graph, run.split),
                messages=cast(Messages, options.messages),
                calibration=run.calibration,
                hard=options.hard,
                samples=options.samples or 0,
                allow_seen=options.allow_seen,
            )
            found |= {part: score.to_dict() for part, score in scores.items()}
            found |= feature_scores(self, run.folder, run.config, SplitModel(run.model, run.split))
        if {"classes", "clusters"} & {*options.tasks}:
            found |= evaluate_embedding(embed(run.model, run.graph).mu, run.graph, options.tasks)
        if "graphs" in options.tasks:
            found["graphs"] = evaluate_graph_vectors(run, options.readout)
        return found

    def embed(self, run: Run, options: EmbeddingOptions) -> Embedding:
        """Return the embedding of the nodes of the graph of a run, or of another graph."""
        other, messages, encoder = options.graph, options.messages, run.feature_encoder
        if messages not in ("train", "all"):
            raise UsageError("MESSAGES", f"--messages must be 'train' or 'all', got {messages!r}.")
        graph = (
            run.graph
            if other is None
            else open_like(run.config, other, options.features, options.reading, encoder=encoder)
        )
        training = other is None and messages == "train"
        edges = run.split.message_edge_index if training else None
        if options.graphs:
            typical = None if other is None else typical_of(run)
            return embedded_graphs(run, graph, edges, options.readout, typical=typical)
        q = embed(run, graph, edges)
        return Embedding(q, graph.ids, "nodes", node_labels(graph))


def _check_split(folder: Path, config: Config, split: LinkSplit) -> None:
    """Raise ``ArtifactError`` if a split is not the one of a run, which the first do not store."""
    stored = config["split"].get("digest")
    if stored is not None and stored != split.digest:
        raise ArtifactError(
            "RUN_MIXED",
            f"{folder / 'split.npz'} is not the split that this run began with; bring it back, or"
            " train again.",
        )


def _check_origin(source: GraphSource) -> None:
    """Raise ``UsageError`` if a split has two origins."""
    given = source.split is not None, source.split_by_time is not None
    rule = "split and split_by_time are two splits" if all(given) else ""
    for name, usual in (("task", "general"), ("split_by", "links")):
        if getattr(source, name) != usual and any(given) and not rule:
            rule = f"{name} chooses random links, and split or split_by_time are others"
    if rule:
        raise UsageError("SPLIT", f"{rule}; leave one of them out.")


def _split_entry(source: GraphSource) -> dict[str, Any]:
    """Return the entry of ``config.json`` on the origin of the split."""
    if source.split is not None:
        return {"path": Path(source.split).name}
    entry: dict[str, Any] = {"val": source.val, "test": source.test}
    entry |= {} if source.task == "general" else {"task": source.task}
    entry |= {} if source.split_by == "links" else {"by": source.split_by}
    return entry if source.split_by_time is None else entry | {"by_time": source.split_by_time}


GRAPHS = GraphRuns()
train_run = partial(train, GRAPHS)

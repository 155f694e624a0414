"""Runs on typed graphs, which have several relations."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

from vgae.data.reading import Reading
from vgae.data.typed_edges import read_typed_graph
from vgae.errors import ArtifactError, UsageError
from vgae.evaluation.links import Messages, evaluate
from vgae.graphs.defaults import TEST_FRACTION, VAL_FRACTION
from vgae.graphs.split import split_links
from vgae.graphs.typed import TypedGraph
from vgae.graphs.typed_split import TypedSplit
from vgae.models.embedding import embed
from vgae.models.pretrained import from_pretrained, save_pretrained
from vgae.models.typed import messages
from vgae.prediction.export import write_embeddings
from vgae.recipes import PAPER, Recipe, recipe_named
from vgae.runs.commands import Embedding, EmbeddingOptions, EvaluationOptions
from vgae.runs.folder import is_named, shown_source
from vgae.runs.kind import Config, FinishedRun, RunKind, Source, files_with
from vgae.runtime.devices import Compute
from vgae.training.prepared import PreparedTraining
from vgae.training.trainer import FitResult
from vgae.training.typed import prepare_typed


@dataclass(frozen=True)
class TypedSource(Source):
    """Origin of a typed graph, and its split.

    Attributes:
        relation: Column of the edge list with the name of the relation.
        features: ``"raw"`` or ``"none"``; or the path of a file with features.
        reading: Options of reading.
        val: Fraction of the links of each relation for validation.
        test: Fraction for test.
    """

    relation: str = ""
    features: str = "raw"
    reading: Reading = Reading()
    val: float = VAL_FRACTION
    test: float = TEST_FRACTION


@dataclass(frozen=True, eq=False, repr=False)
class TypedRun(FinishedRun):
    """A finished training on a typed graph, in its folder.

    Attributes:
        split: Split of the links of each relation.
    """

    split: TypedSplit

    @cached_property
    def graph(self) -> TypedGraph:
        """The graph, read again from its source.

        Raises:
            ArtifactError: If the graph has changed.
            LeakageError: If the split leaks.
        """
        graph = TYPED.reopen(self.folder, self.config)
        self.split.audit(graph)
        return graph


class SplitTypedGraph(NamedTuple):
    """A typed graph and the split of its links."""

    graph: TypedGraph
    split: TypedSplit


class TypedRuns(RunKind[TypedRun]):
    """Runs on typed graphs."""

    name, title, model = "typed_graph", "a typed graph", "rgcn-vgae"
    keys: ClassVar = {
        "typed_graph": dict,
        "model": str,
        "recipe": dict,
        "seed": int,
        "split": dict,
    }
    source, recipe, run = TypedSource, Recipe, TypedRun
    options = (
        *("relation", "features", *Reading.__dataclass_fields__, "val", "test"),
        *("max_memory", "cuda_graph", "messages", "allow_seen"),
    )
    files: ClassVar = files_with(
        {
            "split.npz": "held-out links of each relation and their non-links",
            "metrics.json": "AUC, AP and ranks of each relation",
            "model/node_ids.json": "names of the nodes",
            "embeddings.npz": "name and posterior of each node",
        }
    )
    tied: ClassVar = (*RunKind.tied, "model/node_ids.json")
    view = "vgae.report.views:TYPED"

    def recognises(self, source: str) -> bool:  # noqa: ARG002
        """Return ``False``: a graph is typed by the option ``relation`` alone."""
        return False

    def named_recipe(self, name: str | None, source: str, *, progress: bool | None) -> Recipe:  # noqa: ARG002
        """Return a recipe by name, by default :data:`vgae.recipes.PAPER`."""
        return recipe_named(name or PAPER.name)

    def open(self, source: TypedSource, *, progress: bool | None = None) -> TypedGraph:  # noqa: ARG002
        """Return the graph."""
        if is_named(source.source):
            raise UsageError(
                "RELATION",
                f"{source.source} is a data set, and --relation names a column of an edge list in"
                " a file; leave it out.",
            )
        path = None if source.features in ("raw", "none") else source.features
        given = {"relation": source.relation, "features": path, **vars(source.reading)}
        return read_typed_graph(source.source, **given)

    def source_of(self, config: Config) -> TypedSource:
        """Return the source in the content of ``config.json``."""
        graph, split = config[self.name], config["split"]
        return TypedSource(
            source=str(graph["source"]),
            relation=str(graph["relation"]),
            features=str(graph["features"]),
            reading=Reading.of(graph["reading"]),
            val=split["val"],
            test=split["test"],
        )

    def paths(self, source: TypedSource) -> dict[str, str]:
        """Return the absolute paths of the files of links and features."""
        features = source.features
        more = {} if is_named(features) else {"features": str(Path(features).resolve())}
        return super().paths(source) | more

    def divide(
        self, data: TypedGraph, source: TypedSource, seed: int, folder: Path | None = None
    ) -> SplitTypedGraph:
        """Return the graph with the stored split of its links, or a new one."""
        if folder is not None and (folder / "split.npz").exists():
            return SplitTypedGraph(data, TypedSplit.load(folder / "split.npz"))
        given: Any = data
        split: Any = split_links(given, val=source.val, test=source.test, seed=seed)
        return SplitTypedGraph(data, split)

    def check_data(self, folder: Path, config: Config, data: SplitTypedGraph) -> None:
        """Raise ``ArtifactError`` if the split is not the one that a run began with."""
        if config["split"].get("digest") != data.split.digest:
            raise ArtifactError(
                "RUN_MIXED",
                f"{folder / 'split.npz'} is not the split that this run began with; bring it"
                " back, or train again.",
            )

    def write_data(self, folder: Path, data: SplitTypedGraph) -> None:
        """Write ``split.npz``, if it is not there yet."""
        if not (folder / "split.npz").exists():
            data.split.save(folder / "split.npz")

    def prepare(
        self, data: SplitTypedGraph, *, model: Any, recipe: Any, seed: int, device: Compute
    ) -> PreparedTraining:
        """Return the training."""
        given: Any = {"model": model, "recipe": recipe or PAPER, "seed": seed, "device": device}
        return prepare_typed(*data, **given)

    def describe(
        self, source: TypedSource, data: SplitTypedGraph, model: str, prepared: PreparedTraining
    ) -> dict[str, Any]:
        """Return the entries of ``config.json``; the graph can be found and verified by them."""
        return {
            self.name: {
                "source": shown_source(source.source),
                "relation": source.relation,
                "features": shown_source(source.features),
                **data.graph.summary(),
                "fingerprint": data.graph.fingerprint,
                "reading": source.reading.to_dict(),
            },
            "model": model,
            "recipe": asdict(prepared.recipe),
            "seed": prepared.seed,
            "split": {"val": source.val, "test": source.test, "digest": data.split.digest},
        }

    def write(
        self,
        folder: Path,
        config: Config,  # noqa: ARG002
        data: SplitTypedGraph,
        result: FitResult,
        **_: object,
    ) -> dict[str, Any]:
        """Write embeddings and model; return the scores."""
        graph, split = cast(Any, data.graph), data.split
        q = embed(result.model, graph, cast(Any, messages(graph, split)))
        write_embeddings(folder / "embeddings.npz", graph.ids, q)
        save_pretrained(result.model, folder / "model", node_ids=graph.node_ids)
        scores = evaluate(result.model, graph, cast(Any, split))
        return {
            "pairs": result.plan.pairs if result.plan else None,
            **{part: score.to_dict() for part, score in scores.items()},
        }

    def load_parts(self, folder: Path, unchecked: Collection[str]) -> dict[str, Any]:  # noqa: ARG002
        """Return split and model."""
        split = TypedSplit.load(folder / "split.npz")
        return {"split": split, "model": from_pretrained(folder / "model")}

    def check_run(self, run: TypedRun, unchecked: Collection[str]) -> None:
        """Raise ``ArtifactError`` if split and model are not those of the run."""
        if "split.npz" in unchecked:
            return
        self.check_data(run.folder, run.config, SplitTypedGraph(cast(Any, None), run.split))
        if {*run.model.trained_on} - {run.split.train_digest}:
            raise ArtifactError(
                "RUN_MIXED",
                f"{run.folder / 'model'} was trained on other links than those of split.npz beside"
                " it; bring back the files of this run, or train again.",
            )

    def attach(self, run: TypedRun, data: SplitTypedGraph) -> None:
        """Store the graph, and the split."""
        vars(run).update(data._asdict())

    def evaluate(self, run: TypedRun, options: EvaluationOptions) -> dict[str, Any]:
        """Return the scores of each relation."""
        how: Any = {"messages": cast(Messages, options.messages)}
        given: Any = run.model, run.graph, run.split
        scores = evaluate(*given, **how, allow_seen=options.allow_seen)
        return {part: score.to_dict() for part, score in scores.items()}

    def embed(self, run: TypedRun, options: EmbeddingOptions) -> Embedding:
        """Return the embedding of the nodes."""
        if options.messages not in ("train", "all"):
            rule = f"--messages must be 'train' or 'all', got {options.messages!r:.60}"
            raise UsageError("MESSAGES", f"{rule}.")
        split = run.split if options.messages == "train" else None
        q = embed(run, cast(Any, run.graph), cast(Any, messages(run.graph, split)))
        return Embedding(q, run.graph.ids, "nodes")


TYPED = TypedRuns()

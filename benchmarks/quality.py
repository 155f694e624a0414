"""Link prediction on equal terms: every row on the same splits, with the same non-links.

Each job trains one row once: a data set, the seed of a split, the seed of the weights. Weights
are chosen on validation links only, or are those of the last epoch where that was published; the
test links are looked at once. A job's result is a file, so that an interrupted run goes on where
it was, and an ensemble is made of results that are there.
"""

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from harness import CannotRun, Row, say
from jobs import add_options, finished
from link_peers import PEERS
from problems import named_graph
from quality_tables import summarise, tables
from report import begin, finish
from scorers import Ours, Scorer, all_scores
from torch import Tensor

import vgae
from vgae.evaluation.calibration import fit_calibration
from vgae.evaluation.hard_negatives import hard_negatives
from vgae.evaluation.metrics import hits_at_k, link_scores, rank_scores, ranks_among
from vgae.evaluation.ranking import link_ranks
from vgae.evaluation.reliability import probability_scores
from vgae.evaluation.tasks import evaluate_embedding
from vgae.graphs.canonical import both_directions
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit
from vgae.models.files import write_json
from vgae.recipes import recipe_named
from vgae.recipes.graphs import VARIANTS
from vgae.runtime.atomic import replacing
from vgae.runtime.streams import stream

OURS = {
    "gae": ("gae", "paper"),
    "vgae": ("vgae", "paper"),
    "best": ("vgae", "best"),
    "ranks": ("vgae", "ranks"),
}
ROWS = (*OURS, *PEERS)
NETWORKS = (*OURS, "gnae", "vgnae", "argva", "maskgae")  # that ensembles are made of


class Job(NamedTuple):
    """One training; see the options of this script."""

    dataset: str
    features: str
    row: str
    seed: int
    member: int
    hard: int
    scores: str
    folder: Path

    @property
    def name(self) -> str:
        """The name of the data set, also of one in a file."""
        return Path(self.dataset).stem

    @property
    def path(self) -> Path:
        """Where its result lies."""
        return self.folder / f"{self.name}-{self.features}/{self.row}-{self.seed}-{self.member}"

    def stored(self) -> Row | None:
        """Return the result, if there is one with the same settings."""
        path = self.path.with_suffix(".json")
        if not path.exists():
            return None
        result = json.loads(path.read_text())
        same = result["settings"] == settings(self) and (
            self.scores == "auc"
            or (result["scores"], result["hard_per_link"]) == ("all", self.hard)
        )
        return result | {"logits": path.with_suffix(".npz")} if same else None

    def run(self) -> Row:
        """Train, score and write; return the result."""
        torch.set_num_threads(1)
        graph = named_graph(self.dataset, self.features)
        split = saved_split(self, graph)
        result: Row = self._asdict() | {"folder": str(self.folder), "settings": settings(self)}
        result["hard_per_link"] = result.pop("hard")
        start = time.perf_counter()
        try:
            scorer = train(self, graph, split)
        except CannotRun as error:
            return result | {"skipped": str(error)}
        result["seconds"] = time.perf_counter() - start
        result["chosen"] = getattr(scorer, "setting", None)
        scores, logits = judge(self, scorer, graph, split)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(self.path.with_suffix(".npz"), **logits)
        write_json(self.path.with_suffix(".json"), result | scores)
        return result | scores


def train(job: Job, graph: Graph, split: LinkSplit) -> Scorer:
    """Train a row; members of one split differ in weights, noise and sampled pairs."""
    seed = job.seed + 1000 * job.member
    if job.row in OURS:
        model, recipe = OURS[job.row]
        return Ours(graph, split, seed, model=model, recipe=recipe_named(recipe))
    return PEERS[job.row](graph, split, seed)


def settings(job: Job) -> str:
    """Return what a stored result depends on besides the names in its path."""
    if job.row not in OURS:
        return ""
    name = OURS[job.row][1]
    return "\n".join(str(recipe_named(name)) for name in (name, *VARIANTS.get(name, ())))


def saved_split(job: Job, graph: Graph) -> LinkSplit:
    """Return the split of a seed, from its file if it is there; it is audited."""
    path = job.folder / f"{job.name}-split-{job.seed}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        vgae.split_links(graph, seed=job.seed).save(path)
    split = LinkSplit.load(path)
    split.audit(graph)
    return split


def judge(
    job: Job, scorer: Scorer, graph: Graph, split: LinkSplit
) -> tuple[Row, dict[str, np.ndarray]]:
    """Score the held-out links, under both protocols, and against harder non-links.

    Returns:
        The scores, and the logits they are from.
    """
    z = scorer.embed(split.message_edge_index)
    logits = {
        "val": scorer.logits(z, split.val.edge_label_index),
        "train": scorer.logits(z, split.test.edge_label_index),
    }
    if job.scores == "all":
        more = both_directions(torch.cat([split.train, split.val.pos], dim=1))
        logits["train+val"] = scorer.logits(scorer.embed(more), split.test.edge_label_index)
    labels = {name: split.test.edge_label for name in logits} | {"val": split.val.edge_label}
    scores: Row = {name: link_scores(logits[name], labels[name])._asdict() for name in logits}
    pos, neg = logits["train"].chunk(2)
    scores["hits_at_50"] = hits_at_k(pos, neg, 50)
    platt = fit_calibration(logits["val"], labels["val"])
    for name, p in {
        "sigmoid": logits["train"].double().sigmoid(),
        "platt": platt.probability(logits["train"]),
    }.items():
        scores[name] = probability_scores(p, labels["train"])._asdict()
    if job.member == 0 and job.scores == "all":
        ranks = link_ranks(
            lambda nodes: all_scores(scorer, z, nodes),
            split.test.pos,
            graph.links,
            graph.num_nodes,
        )
        scores["ranks"] = rank_scores(ranks.flatten())._asdict()
        scores["hard"] = hard_scores(job, scorer, z, graph, split) if job.hard else None
        scores["tasks"] = task_scores(scorer, graph)
    return scores, {name: values.double().numpy() for name, values in logits.items()}


def hard_scores(
    job: Job, scorer: Scorer, z: Tensor, graph: Graph, split: LinkSplit
) -> dict[str, float]:
    """Rank each test link among hard non-links of its own, the same for all rows."""
    path = job.folder / f"{job.name}-{job.features}-hard-{job.seed}-{job.hard}.npy"
    if not path.exists():
        negatives = hard_negatives(
            graph.links,
            split.test.pos,
            split.train,
            graph.x,
            graph.num_nodes,
            per_link=job.hard,
            generator=stream(job.seed, "hard-negatives"),
        )
        with replacing(path) as temporary:
            np.save(temporary.open("wb"), negatives.int().numpy())
    negatives = torch.from_numpy(np.load(path)).long()
    neg = torch.cat([scorer.logits(z, pairs) for pairs in negatives.flatten(1).split(1 << 17, 1)])
    pos = scorer.logits(z, split.test.pos)
    return rank_scores(ranks_among(pos, neg.view(len(pos), -1)))._asdict()


def task_scores(scorer: Scorer, graph: Graph) -> Row | None:
    """Judge the embedding of the whole graph by classes and clusters, if it is one."""
    z = scorer.embed(graph.edge_index)
    if graph.y is None or z.layout != torch.strided or z.shape[1] < 2:
        return None
    return evaluate_embedding(z, graph, ["classes", "clusters"])


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=["cora", "citeseer"], help="or files")
    parser.add_argument("--features", default="raw", choices=["raw", "none"])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--members", type=int, default=1, help="of each ensemble, per split")
    parser.add_argument("--hard", type=int, default=500, help="hard non-links a link; 0 for none")
    parser.add_argument("--scores", default="all", choices=["all", "auc"], help="auc: no ranks")
    add_options(parser, "runs/quality")
    return parser.parse_args()


def jobs_of(args: argparse.Namespace) -> list[Job]:
    """Return all jobs, the first split of every row before the second."""
    return [
        Job(dataset, args.features, row, seed, member, args.hard, args.scores, args.folder)
        for member in range(args.members)
        for seed in range(args.first_seed, args.first_seed + args.seeds)
        for dataset in args.datasets
        for row in args.rows
        if member == 0 or row in NETWORKS
    ]


def main() -> None:
    """Run what is missing, then print JSON to stdout and tables to stderr."""
    args = parse()
    head = begin(args)
    summary = summarise(finished(jobs_of(args), progress, args.jobs))
    say(tables(summary))
    finish(head | summary, args.json)


def progress(result: Row) -> str:
    """Return one line about a job that is done."""
    name = f"{result['dataset']} {result['row']} split {result['seed']}.{result['member']}"
    if "skipped" in result:
        return f"{name}: {result['skipped']}"
    auc, ap = (100 * result["train"][figure] for figure in ("auc", "ap"))
    return f"{name}: {auc:.2f} / {ap:.2f}, {result['seconds']:.0f} s"


if __name__ == "__main__":
    main()

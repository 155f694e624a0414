"""What it costs to propose links: the k best unknown partners of every node."""

import argparse
from collections.abc import Callable
from functools import partial
from itertools import product

import torch
from harness import CannotRun, Row, answer, compare, find, options
from meter import Step, measure, need_memory
from problems import random_links
from report import bar, begin, finish, ratio, table
from torch import Tensor

from vgae import VAE, Graph, InnerProductDecoder, PointMass
from vgae.prediction import links as prediction
from vgae.prediction import searches

DIM = 16
LINKS_PER_NODE = 5
SMALL = 1000  # nodes
BASE = "ours"
Find = Callable[[], Tensor]


class Fixed(torch.nn.Module):
    """An encoder that knows where the nodes are, so that nothing but the search is measured."""

    def __init__(self, z: Tensor) -> None:
        super().__init__()
        self.z = z

    def forward(self, *_: object) -> PointMass:
        """Return the vectors themselves."""
        return PointMass(self.z)


def ours(graph: Graph, z: Tensor, k: int, *, faiss: bool) -> Find:
    """Return a search of this package, with or without FAISS."""
    model = VAE(Fixed(z), InnerProductDecoder())

    def find_partners() -> Tensor:
        searches._uses_faiss = lambda *_: faiss
        return prediction.predict_links(model, graph, k, exact=True, progress=False).target

    return find_partners


def full_rows(graph: Graph, z: Tensor, k: int) -> Find:
    """Return the search that one writes first: whole rows, a block at a time, and topk."""
    known = graph.to_scipy()

    def find_partners() -> Tensor:
        found = []
        for nodes in torch.arange(len(z)).split(max((1 << 22) // len(z), 1)):
            scores = z[nodes] @ z.T
            rows, columns = map(torch.from_numpy, known[nodes.numpy()].nonzero())
            scores[rows, columns] = -torch.inf
            scores[torch.arange(len(nodes)), nodes] = -torch.inf
            found.append(scores.topk(k).indices)
        return torch.cat(found).flatten()

    return find_partners


def dense(graph: Graph, z: Tensor, k: int) -> Find:
    """Return the search on the N x N matrix, as an example script has it."""
    need_memory(9 * len(z) ** 2, "N x N scores")
    known = torch.eye(len(z), dtype=torch.bool)
    known[graph.edge_index[0], graph.edge_index[1]] = True
    return lambda: (z @ z.T).masked_fill_(known, -torch.inf).topk(k).indices.flatten()


def pyg(graph: Graph, z: Tensor, k: int) -> Find:
    """Return the search of PyG's ``MIPSKNNIndex``, which asks FAISS and leaves known links out."""
    from torch_geometric.nn.pool import MIPSKNNIndex

    index = MIPSKNNIndex(emb=z)
    nodes = torch.arange(len(z))
    known = torch.cat([graph.edge_index, nodes.expand(2, -1)], dim=1)

    def find_partners() -> Tensor:
        found = [
            index.search(z[part], k, exclude_links=_of_part(known, part)).index
            for part in nodes.split(2000)
        ]
        return torch.cat(found).flatten()

    return find_partners


def random_z(num_nodes: int) -> Tensor:
    """Return standard normal vectors, shape ``(N, d)``."""
    return torch.randn(num_nodes, DIM, generator=torch.Generator().manual_seed(0))


def _of_part(known: Tensor, part: Tensor) -> Tensor:
    """Return the pairs of some consecutive nodes, which are numbered from 0 on."""
    inside = (known[0] >= part[0]) & (known[0] <= part[-1])
    return torch.stack([known[0, inside] - part[0], known[1, inside]])


SIDES: dict[str, Callable[[Graph, Tensor, int], Find]] = {
    BASE: partial(ours, faiss=False),
    "ours-faiss": partial(ours, faiss=True),
    "full-rows": full_rows,
    "dense": dense,
    "pyg": pyg,
}


def run_side(args: argparse.Namespace) -> Row:
    """Measure one side in this process; ``wrong`` counts partners that the base has not."""
    torch.set_num_threads(args.threads[0])

    def make(num_nodes: int) -> Step:
        links = random_links(num_nodes, LINKS_PER_NODE * num_nodes)
        graph = Graph.from_edges(links, num_nodes=num_nodes)
        return SIDES[args.side](graph, random_z(num_nodes), args.k)

    if not torch.equal(make(SMALL)().sort().values, _expected(args.k).sort().values):
        raise CannotRun("it finds other links than the base")
    return measure(
        partial(make, args.nodes),
        partial(make, SMALL),
        steps=args.steps,
        warmup=1,
        seconds=args.seconds,
    )


def _expected(k: int) -> Tensor:
    """Return the partners that whole rows have, of the small graph."""
    graph = Graph.from_edges(random_links(SMALL, LINKS_PER_NODE * SMALL), num_nodes=SMALL)
    return full_rows(graph, random_z(SMALL), k)()


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = options("Measure the search for links to propose.", threads=(2, 1), repeats=3)
    parser.add_argument("--nodes", type=int, default=20_000, help="N")
    parser.add_argument("--k", type=int, default=10, help="partners of each node")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--steps", type=int, default=3, help="measured per side and round")
    parser.add_argument("--seconds", type=float, default=30.0, help="at most so long per side")
    args = parser.parse_args()
    if BASE not in args.sides:
        args.sides.insert(0, BASE)
    return args


def main() -> None:
    """Measure, then print JSON to stdout and a table to stderr."""
    args = parse()
    if args.side:
        answer(partial(run_side, args))
        return
    report = begin(args, dim=DIM, links_per_node=LINKS_PER_NODE)
    cells = [{"threads": n, "side": side} for n, side in product(args.threads, args.sides)]
    report["sides"] = compare(cells, args.repeats)
    for row in report["sides"]:
        base = find(report["sides"], threads=row["threads"], side=BASE)
        row["wall_ratio"] = ratio(row, base, "wall_ms")
    first = find(report["sides"], threads=max(args.threads), side=BASE) or {}
    if args.nodes == 20_000 and "wall_ms" in first:
        report["acceptance"] = [
            bar("seconds", first["wall_ms"] / 1e3, at_most=6),
            bar("MB of the process", first["process_mb"], at_most=600),
        ]
    columns = {"threads": "d", "side": "s", "wall_ms": ".0f", "cpu_ms": ".0f"}
    table(report["sides"], columns | {"peak_mb": ".0f", "process_mb": ".0f", "wall_ratio": ".2f"})
    finish(report, args.json)


if __name__ == "__main__":
    main()

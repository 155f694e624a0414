"""What one training epoch costs, next to its peers: forward, backward, Adam step, no evaluation.

Each side runs in a process of its own, on the same graph, training links and widths. The sides
take turns over several rounds, so that whatever else the machine does hits all of them alike.
"""

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import torch_geometric
from torch import Tensor, nn
from torch_geometric.nn import VGAE as PyGVGAE
from torch_geometric.nn import GCNConv

from vgae.data.catalog import entry, missing
from vgae.data.named import load_dataset
from vgae.decoders import InnerProductDecoder
from vgae.embedding import encoder_inputs
from vgae.graph import Graph
from vgae.links import LinkSplit, split_links
from vgae.recipes import PAPER
from vgae.streams import stream
from vgae.train import build_model, epochs
from vgae.vae import VAE
from vgae.version import __version__

WARMUP = 10
TOLERANCE = 1e-5
# The bar: CPU time of ours-exact over that of the peer.
BAR = {"pyg-sampled": 1.3, "dense": 0.2}

Step = Callable[[], Tensor]


class Problem(NamedTuple):
    """What every side is given."""

    graph: Graph
    split: LinkSplit


def our_model(problem: Problem) -> tuple[VAE, tuple[Any, Any], torch.optim.Optimizer]:
    """Return model, inputs in their fastest form, and optimizer, as ``fit`` makes them."""
    graph = problem.graph
    in_channels = graph.num_features or graph.num_nodes
    model = build_model("vgae", in_channels, PAPER, stream(0, "init"))
    edge_index = problem.split.message_edge_index
    inputs = encoder_inputs(model, graph, edge_index)
    return model, inputs, torch.optim.Adam(model.parameters(), lr=PAPER.lr)


def ours(problem: Problem) -> Step:
    """Return one epoch of this package."""
    model, inputs, optimizer = our_model(problem)
    num_nodes = problem.graph.num_nodes
    target = InnerProductDecoder().prepare(problem.split.message_edge_index, num_nodes)
    noise = stream(0, "noise")
    loop = epochs(model, optimizer, inputs, target, num_items=num_nodes**2, generator=noise)
    return lambda: next(loop).loss


def dense(problem: Problem) -> Step:
    """Return one epoch of our encoder under the N x N loss, so that only the loss differs."""
    model, inputs, optimizer = our_model(problem)
    num_nodes, noise = problem.graph.num_nodes, stream(0, "noise")
    recon_loss = dense_loss(problem.split.message_edge_index, num_nodes)

    def loss() -> Tensor:
        q = model.encoder(*inputs)
        return recon_loss(q.rsample(noise)) + q.kl().sum() / num_nodes**2

    return partial(descend, optimizer, loss)


def dense_loss(edge_index: Tensor, num_nodes: int) -> Callable[[Tensor], Tensor]:
    """Return the reconstruction loss of Kipf & Welling's code as a function of ``z``."""
    labels = torch.eye(num_nodes)
    labels[edge_index[0], edge_index[1]] = 1
    num_pairs, num_edges = num_nodes**2, edge_index.shape[1]
    pos_weight = torch.tensor((num_pairs - num_edges) / num_edges)
    norm = num_pairs / (2 * (num_pairs - num_edges))
    return lambda z: (
        norm * F.binary_cross_entropy_with_logits(z @ z.T, labels, pos_weight=pos_weight)
    )


class PyGEncoder(nn.Module):
    """The encoder of PyG's ``examples/autoencoder.py``, at the widths of the paper."""

    def __init__(self, in_channels: int, *, cached: bool) -> None:
        super().__init__()
        hidden, latent = PAPER.hidden_channels, PAPER.latent_channels
        self.conv1 = GCNConv(in_channels, hidden, cached=cached)
        self.conv_mu = GCNConv(hidden, latent, cached=cached)
        self.conv_logstd = GCNConv(hidden, latent, cached=cached)

    def forward(self, x: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and log sigma, each of shape ``(N, d)``."""
        x = self.conv1(x, edge_index).relu()
        return self.conv_mu(x, edge_index), self.conv_logstd(x, edge_index)


def pyg(problem: Problem, *, cached: bool, sparse_x: bool) -> Step:
    """Return one epoch of ``examples/autoencoder.py --variational``: sampled non-links."""
    random.seed(0)  # PyG draws its non-links from Python's generator.
    torch.manual_seed(0)
    num_nodes, x = problem.graph.num_nodes, problem.graph.x
    x = torch.eye(num_nodes) if x is None else x.to_dense()
    x = x.to_sparse_csr() if sparse_x else x
    edge_index, links = problem.split.message_edge_index, problem.split.train
    model = PyGVGAE(PyGEncoder(x.shape[1], cached=cached))
    optimizer = torch.optim.Adam(model.parameters(), lr=PAPER.lr)

    def loss() -> Tensor:
        z = model.encode(x, edge_index)
        return model.recon_loss(z, links) + (1 / num_nodes) * model.kl_loss()

    return partial(descend, optimizer, loss)


def descend(optimizer: torch.optim.Optimizer, loss_of: Callable[[], Tensor]) -> Tensor:
    """Take one step of the optimizer and return the loss before it."""
    optimizer.zero_grad()
    loss = loss_of()
    loss.backward()
    optimizer.step()
    return loss.detach()


SIDES: dict[str, Callable[[Problem], Step]] = {
    "ours-exact": ours,
    "dense": dense,
    "pyg-sampled": partial(pyg, cached=True, sparse_x=False),
    "pyg-uncached": partial(pyg, cached=False, sparse_x=False),
    "pyg-sparse-x": partial(pyg, cached=True, sparse_x=True),
}


def check(problem: Problem) -> dict[str, float]:
    """Return how far our loss and its gradient are from the dense ones at one random ``z``."""
    num_nodes, edge_index = problem.graph.num_nodes, problem.split.message_edge_index
    z = torch.randn(num_nodes, PAPER.latent_channels, generator=stream(0, "noise"))
    z.requires_grad_()
    expected = dense_loss(edge_index, num_nodes)(z)
    found = -InnerProductDecoder(weighting="kipf").log_prob(z, edge_index) / num_nodes**2
    slope, our_slope = (torch.autograd.grad(loss, z)[0] for loss in (expected, found))
    return {
        "loss": (abs(found - expected) / expected).item(),
        "gradient": ((our_slope - slope).norm() / slope.norm()).item(),
    }


def measure(step: Step, num_epochs: int) -> dict[str, float]:
    """Return the median CPU and wall time of an epoch in ms, after a warm-up."""
    cpu, wall = [], []
    for _ in range(WARMUP + num_epochs):
        cpu_start, wall_start = time.process_time(), time.perf_counter()
        step()
        wall.append(1e3 * (time.perf_counter() - wall_start))
        cpu.append(1e3 * (time.process_time() - cpu_start))
    return {"cpu_ms": statistics.median(cpu[WARMUP:]), "wall_ms": statistics.median(wall[WARMUP:])}


def peak_mb() -> float:
    """Return the largest memory that this process ever held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def run_side(side: str, args: argparse.Namespace) -> dict[str, float]:
    """Measure one side in this process."""
    torch.set_num_threads(args.threads[0])
    graph = load_dataset(args.dataset, features=args.features)
    problem = Problem(graph, split_links(graph))
    if side == "check":
        return check(problem)
    before = peak_mb()  # Mostly the libraries: the data are small beside them.
    result = measure(SIDES[side](problem), args.epochs)
    return {**result, "peak_mb": peak_mb() - before}


def spawn(side: str, threads: int, args: argparse.Namespace) -> dict[str, float]:
    """Run this script for one side in a process of its own; return what it printed."""
    command = [sys.executable, __file__, "--side", side, "--threads", str(threads)]
    command += ["--dataset", args.dataset, "--features", args.features]
    command += ["--epochs", str(args.epochs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def run_check(args: argparse.Namespace) -> dict[str, float] | None:
    """Return the relative errors of our loss, which must be small before anything is timed."""
    if "dense" not in args.sides:
        return None  # The graph may be too large for the N x N matrix.
    errors = spawn("check", args.threads[0], args)
    if not max(errors.values()) <= TOLERANCE:
        sys.exit(f"our loss or its gradient is not the dense one: relative errors {errors}")
    return errors


def compare(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure all sides in turn, round after round; return a row per thread count and side."""
    rounds: dict[tuple[int, str], list[dict[str, float]]] = {
        key: [] for key in product(args.threads, args.sides)
    }
    for number, (threads, side) in product(range(args.repeats), rounds):
        say(f"round {number + 1} of {args.repeats}: {side}, threads {threads}")
        rounds[threads, side].append(spawn(side, threads, args))
    rows = []
    for (threads, side), results in rounds.items():
        row, base = medians(results), medians(rounds[threads, "ours-exact"])
        ratios = {f"{name}_ratio": value / base[name] for name, value in row.items()}
        spread = {"cpu_ms_rounds": [result["cpu_ms"] for result in results]}
        rows.append({"threads": threads, "side": side, **row, **ratios, **spread})
    return rows


def medians(results: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the rounds."""
    return {name: statistics.median(result[name] for result in results) for name in results[0]}


def acceptance(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, per thread count and peer of the bar, whether our CPU time is within it."""
    found = []
    for row in rows:
        if row["side"] in BAR:
            ratio, bar = 1 / row["cpu_ms_ratio"], BAR[row["side"]]
            name = f"ours-exact / {row['side']}, CPU time, threads {row['threads']}"
            found.append({"name": name, "ratio": ratio, "at_most": bar, "ok": ratio <= bar})
    return found


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    return {
        "versions": {
            "vgae": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torch_geometric": torch_geometric.__version__,
        },
        "cpus": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "load_average": os.getloadavg(),
        "environment": {name: v for name, v in os.environ.items() if name.startswith("OMP_")},
    }


def say(text: str) -> None:
    """Write to stderr; stdout is for the JSON."""
    print(text, file=sys.stderr, flush=True)


def show(report: dict[str, Any]) -> None:
    """Write the report as a table."""
    say(f"\n{'threads':>7} {'side':<13}{'CPU ms':>9}{'wall ms':>9}{'peak MB':>9}   / ours-exact")
    for row in report["sides"]:
        figures = "".join(f"{row[name]:9.1f}" for name in ("cpu_ms", "wall_ms", "peak_mb"))
        ratios = "".join(
            f"{row[f'{name}_ratio']:7.2f}" for name in ("cpu_ms", "wall_ms", "peak_mb")
        )
        say(f"{row['threads']:7} {row['side']:<13}{figures}{ratios}")
    for item in report.get("acceptance", []):
        verdict = "ok" if item["ok"] else "MISSED"
        say(f"{verdict:>7} {item['name']}: {item['ratio']:.2f}, at most {item['at_most']}")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure one training epoch against the peers.")
    parser.add_argument("--dataset", help="default: cora if its files are there, else stdlib")
    parser.add_argument("--features", choices=["raw", "none"], default="raw")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--threads", nargs="+", type=int, default=[2, 1])
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--epochs", type=int, default=50, help="measured per side and round")
    parser.add_argument("--json", type=Path, help="also write the JSON to this file")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.dataset = args.dataset or ("stdlib" if missing(entry("cora")) else "cora")
    if "ours-exact" not in args.sides:
        args.sides.insert(0, "ours-exact")
    return args


def main() -> None:
    """Measure, then print JSON to stdout and a table to stderr."""
    args = parse()
    if args.side:
        print(json.dumps(run_side(args.side, args)))
        return
    options = ("dataset", "features", "threads", "repeats", "epochs")
    report: dict[str, Any] = {"settings": {name: getattr(args, name) for name in options}}
    report |= {"warmup": WARMUP, **machine(), "relative_errors": run_check(args)}
    report["sides"] = compare(args)
    # The bar was set for Cora with its features; on a small graph the dense loss costs little.
    if (args.dataset, args.features) == ("cora", "raw"):
        report["acceptance"] = acceptance(report["sides"])
    show(report)
    text = json.dumps(report, indent=1)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

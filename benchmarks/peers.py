"""Those that this package is measured against; each gets the same graph, links and widths.

What is not part of this package's dependencies is imported where it is used.
"""

import os
import random
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from harness import CannotRun
from meter import keep_freed_memory, need_memory
from ours import Loss, Trainer, our_means, our_model
from problems import Problem
from torch import Tensor, nn
from torch_geometric.nn import GAE, VGAE, GCNConv

from vgae.kernels.csr import csr_tensor
from vgae.recipes import PAPER
from vgae.runtime.streams import stream

HIDDEN, LATENT = PAPER.hidden_channels, PAPER.latent_channels


def descend(optimizer: torch.optim.Optimizer, loss_of: Callable[[], Tensor]) -> Tensor:
    """Take one step of the optimizer and return the loss before it."""
    optimizer.zero_grad()
    loss = loss_of()
    loss.backward()
    optimizer.step()
    return loss.detach()


def dense(problem: Problem, *, kept: bool = False) -> Trainer:
    """Train our encoder under the loss on the N x N matrix, so that only the loss differs.

    Args:
        problem: Graph and split.
        kept: Whether the allocator keeps the matrices' memory from one epoch to the next.
    """
    if kept:
        keep_matrices(problem.graph.num_nodes)
    num_nodes, noise = problem.graph.num_nodes, stream(problem.seed, "noise", problem.device)
    recon_loss = dense_loss(problem.split.message_edge_index.to(problem.device), num_nodes)
    model, inputs, optimizer = our_model(problem)

    def loss() -> Tensor:
        q = model.encoder(*inputs)
        return recon_loss(q.rsample(noise)) + q.kl().sum() / num_nodes**2

    return Trainer(partial(descend, optimizer, loss), lambda: our_means(model, inputs))


def keep_matrices(num_nodes: int) -> None:
    """Have the allocator keep the memory of N x N matrices; it takes more that way."""
    need_memory(11 * 4 * num_nodes**2, f"11 matrices of {num_nodes} x {num_nodes}")
    keep_freed_memory()


def dense_loss(edge_index: Tensor, num_nodes: int, dtype: torch.dtype = torch.float32) -> Loss:
    """Return the reconstruction loss of Kipf & Welling's code, on the N x N matrix."""
    # Labels, logits, what the loss keeps of them, and their gradients.
    need_memory(7 * num_nodes**2 * dtype.itemsize, f"7 matrices of {num_nodes} x {num_nodes}")
    labels = torch.eye(num_nodes, dtype=dtype, device=edge_index.device)
    labels[edge_index[0], edge_index[1]] = 1
    num_pairs, num_edges = num_nodes**2, edge_index.shape[1]
    pos_weight = torch.tensor(
        (num_pairs - num_edges) / num_edges, dtype=dtype, device=labels.device
    )
    norm = num_pairs / (2 * (num_pairs - num_edges))
    return lambda z: (
        norm * F.binary_cross_entropy_with_logits(z @ z.T, labels, pos_weight=pos_weight)
    )


class PyGEncoder(nn.Module):
    """The encoder of PyG's ``examples/autoencoder.py``, at the widths of the paper."""

    def __init__(self, in_channels: int, *, cached: bool) -> None:
        super().__init__()
        self.conv1 = GCNConv(in_channels, HIDDEN, cached=cached)
        self.conv_mu = GCNConv(HIDDEN, LATENT, cached=cached)
        self.conv_logstd = GCNConv(HIDDEN, LATENT, cached=cached)

    def forward(self, x: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and log sigma, each of shape ``(N, d)``."""
        x = self.conv1(x, edge_index).relu()
        return self.conv_mu(x, edge_index), self.conv_logstd(x, edge_index)


def pyg(problem: Problem, *, cached: bool, sparse_x: bool) -> Trainer:
    """Train as PyG's ``examples/autoencoder.py --variational`` does: sampled non-links."""
    seed_all(problem.seed)
    num_nodes, device = problem.graph.num_nodes, problem.device
    edge_index = problem.split.message_edge_index.to(device)
    x, links = features(problem, sparse=sparse_x).to(device), problem.split.train.to(device)
    model = VGAE(PyGEncoder(x.shape[1], cached=cached)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=PAPER.lr)

    def loss() -> Tensor:
        model.train()
        z = model.encode(x, edge_index)
        return model.recon_loss(z, links) + (1 / num_nodes) * model.kl_loss()

    @torch.no_grad()
    def means() -> Tensor:
        return model.eval().encode(x, edge_index)

    return Trainer(partial(descend, optimizer, loss), means)


def pyg_loss(links: Tensor) -> Loss:
    """Return PyG's reconstruction loss with as many sampled non-links as links.

    Args:
        links: In one direction, as the example has them, shape ``(2, M)``.
    """
    seed_all(0)
    model = GAE(nn.Identity())
    return lambda z: model.recon_loss(z, links)


def dgl(problem: Problem) -> Trainer:
    """Train as DGL's ``examples/pytorch/vgae`` does: the loss on the N x N matrix.

    The example lets messages travel over the validation and test links too, and so scores links
    that it has seen. Here its graph is that of the training links, in both directions.
    """
    os.environ.setdefault("DGLBACKEND", "pytorch")
    try:
        import dgl as library
        from dgl.nn.pytorch import GraphConv
    except (ImportError, OSError) as error:  # OSError: built for another torch
        raise CannotRun(f"dgl cannot be used: {error}") from None
    num_nodes, (src, dst) = problem.graph.num_nodes, problem.split.message_edge_index
    # Labels, weights, logits, probabilities, and gradients of the last two.
    need_memory(7 * 4 * num_nodes**2, f"7 matrices of {num_nodes} x {num_nodes}")
    seed_all(problem.seed)
    graph = library.graph((src, dst), num_nodes=num_nodes)
    adj = torch.zeros(num_nodes, num_nodes).index_put((src, dst), torch.ones(()))
    pos_weight = (num_nodes**2 - len(src)) / len(src)
    weight = torch.ones(num_nodes**2).masked_fill(adj.view(-1) == 1, pos_weight)
    norm = num_nodes**2 / (2 * (num_nodes**2 - len(src)))
    x = features(problem)
    conv1 = GraphConv(x.shape[1], HIDDEN, activation=F.relu, allow_zero_in_degree=True)
    heads = [GraphConv(HIDDEN, LATENT, allow_zero_in_degree=True) for _ in range(2)]
    model = nn.ModuleList([conv1, *heads])
    optimizer = torch.optim.Adam(model.parameters(), lr=PAPER.lr)

    def loss() -> Tensor:
        h = conv1(graph, x)
        mu, logstd = (head(graph, h) for head in heads)
        z = mu + torch.randn_like(mu) * logstd.exp()
        p = torch.sigmoid(z @ z.t())
        recon = F.binary_cross_entropy(p.view(-1), adj.view(-1), weight=weight)
        kl = -0.5 * (1 + 2 * logstd - mu**2 - logstd.exp() ** 2).sum(1).mean()
        return norm * recon + kl / num_nodes

    @torch.no_grad()
    def means() -> Tensor:
        return heads[0](graph, conv1(graph, x))

    return Trainer(partial(descend, optimizer, loss), means)


def keops_loss(edge_index: Tensor, num_nodes: int, dim: int) -> Loss:
    """Return Kipf & Welling's loss with the sum over all pairs by KeOps, the rest by torch."""
    try:
        from pykeops.torch import Genred
    except (ImportError, OSError) as error:
        raise CannotRun(f"pykeops cannot be used: {error}") from None
    variables = [f"zi = Vi({dim})", f"zj = Vj({dim})"]
    formula = "Log(IntCst(1) + Exp((zi|zj)))"
    softplus_sums = Genred(formula, variables, reduction_op="Sum", axis=1)
    src, dst = edge_index

    def loss(z: Tensor) -> Tensor:
        s, self_s = (z[src] * z[dst]).sum(1), z.square().sum(1)
        softplus = softplus_sums(z, z, backend="CPU").sum()
        links = F.softplus(-s).sum() + F.softplus(-self_s).sum()
        others = softplus - F.softplus(s).sum() - F.softplus(self_s).sum()
        return links / (2 * len(src)) + others / (2 * (num_nodes**2 - len(src)))

    return loss


def features(problem: Problem, *, sparse: bool = False) -> Tensor:
    """Return the features, or the identity without, dense or as sparse CSR."""
    num_nodes, x = problem.graph.num_nodes, problem.graph.x
    if x is None and sparse:
        nodes = torch.arange(num_nodes + 1)
        return csr_tensor(nodes, nodes[:-1], torch.ones(num_nodes), (num_nodes, num_nodes))
    if x is None:
        need_memory(4 * num_nodes**2, f"{num_nodes} x {num_nodes} features")
        return torch.eye(num_nodes)
    if not sparse:
        return x.to_dense()
    return x if x.layout == torch.sparse_csr else x.to_sparse_csr()


def seed_all(seed: int) -> None:
    """Seed torch's default generator, and Python's, from which PyG draws its non-links."""
    random.seed(seed)
    torch.manual_seed(seed)

"""The same quantity in independent libraries, or written out by hand."""

import torch
import torch.nn.functional as F
from torch_geometric.nn import VGAE as PygVGAE
from torch_geometric.nn import GCNConv

from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder
from vgae.gaussian import DiagGaussian
from vgae.kernels import inner_product_nll
from vgae.vae import VAE


def test_kl_equals_pygs(generator):
    mu, logstd = torch.randn(2, 30, 4, generator=generator, dtype=torch.float64)
    pyg = PygVGAE(torch.nn.Identity())
    ours = DiagGaussian(mu, 2 * logstd).kl().mean()
    torch.testing.assert_close(ours, pyg.kl_loss(mu, logstd))


def test_all_pairs_and_edges_equal_a_loop_over_the_pairs(two_cliques, generator):
    z = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    adj = two_cliques.to_scipy().toarray()
    edges = non_edges = torch.zeros((), dtype=torch.float64)
    for i in range(12):
        for j in range(12):
            if i != j and adj[i, j]:
                edges = edges - F.logsigmoid(z[i] @ z[j])
            elif i != j:
                non_edges = non_edges - F.logsigmoid(-z[i] @ z[j])
    nll = inner_product_nll(z, two_cliques.edge_index)
    torch.testing.assert_close((nll.edges, nll.non_edges), (edges, non_edges))


def test_a_whole_step_equals_kipfs_objective_in_plain_torch(two_cliques):
    """Loss and all gradients of one step, against GCNConv, dense logits and torch's own BCE."""
    x, edge_index = two_cliques.x, two_cliques.edge_index
    model = VAE(
        GCNEncoder(12, 8, 4, bias=False, generator=torch.Generator().manual_seed(0)),
        InnerProductDecoder(weighting="kipf"),
    )
    terms = model((x, edge_index), edge_index, torch.Generator().manual_seed(1))
    loss = -terms.elbo() / 144
    loss.backward()

    hidden, heads = GCNConv(12, 8, bias=False), GCNConv(8, 8, bias=False)
    hidden.lin.weight.data.copy_(model.encoder.conv0.weight.T)
    heads.lin.weight.data.copy_(model.encoder.conv1.weight.T)
    mu, logstd = heads(hidden(x, edge_index).relu(), edge_index).chunk(2, dim=1)
    z = mu + logstd.exp() * torch.randn(mu.shape, generator=torch.Generator().manual_seed(1))
    adj = torch.from_numpy(two_cliques.to_scipy().toarray())
    weight = (144 - adj.sum()) / adj.sum()
    bce = F.binary_cross_entropy_with_logits(z @ z.T, adj + torch.eye(12), pos_weight=weight)
    kl = -0.5 / 12 * (1 + 2 * logstd - mu**2 - (2 * logstd).exp()).sum(dim=1).mean()
    reference = 144 / (2 * (144 - adj.sum())) * bce + kl
    reference.backward()

    torch.testing.assert_close(loss, reference)
    for ours, theirs in (
        (model.encoder.conv0.weight, hidden),
        (model.encoder.conv1.weight, heads),
    ):
        torch.testing.assert_close(ours.grad, theirs.lin.weight.grad.T, rtol=1e-4, atol=1e-6)

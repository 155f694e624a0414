"""PyG's GAE and VGAE with the decoder of this package: the exact sum over all pairs of nodes."""

import torch
from torch_geometric.nn import GAE, VGAE, GCNConv

import vgae


class Decoder(vgae.InnerProductDecoder):
    def forward(self, z, edge_index, sigmoid=True):  # noqa: FBT002 - as PyG calls its decoders
        logits = self.logits(z, edge_index)
        return logits.sigmoid() if sigmoid else logits


class Encoder(torch.nn.Module):
    def __init__(self, in_channels, heads):  # 2 heads for VGAE: mu and log sigma
        super().__init__()
        self.conv0 = GCNConv(in_channels, 32)
        self.convs = torch.nn.ModuleList([GCNConv(32, 16) for _ in range(heads)])

    def forward(self, x, edge_index):
        out = [conv(self.conv0(x, edge_index).relu(), edge_index) for conv in self.convs]
        return out[0] if len(out) == 1 else tuple(out)


torch.manual_seed(0)
graph = vgae.load_dataset("stdlib")
split, x = vgae.split_links(graph, seed=0), graph.x.to_dense()
edges, pairs = split.message_edge_index, graph.num_nodes**2
for kind, heads in ((GAE, 1), (VGAE, 2)):
    model = kind(Encoder(graph.num_features, heads), Decoder(weighting="kipf"))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        z = model.encode(x, edges)
        kl = model.kl_loss() / graph.num_nodes if kind is VGAE else 0
        optimizer.zero_grad()
        (kl - model.decoder.log_prob(z, edges) / pairs).backward()  # not recon_loss: no sampling
        optimizer.step()
    auc, ap = model.eval().test(model.encode(x, edges), *split.test[:2])
    print(f"{kind.__name__}: AUC {auc:.3f}, AP {ap:.3f} of the test links")

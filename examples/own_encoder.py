"""An encoder of your own: anything that returns a posterior; nothing to inherit, no registry."""

import torch
from torch_geometric.nn import SAGEConv

import vgae
from vgae.testing import check_graph_model


class SAGEEncoder(torch.nn.Module):
    def __init__(self, in_channels: int, hidden_channels: int, latent_channels: int):
        super().__init__()
        self.conv = SAGEConv(in_channels, hidden_channels)
        self.mu = SAGEConv(hidden_channels, latent_channels)
        self.logvar = SAGEConv(hidden_channels, latent_channels)

    def forward(self, x, edge_index):
        h = self.conv(x, edge_index).relu()
        return vgae.DiagGaussian(self.mu(h, edge_index), self.logvar(h, edge_index))


check_graph_model(lambda in_channels: SAGEEncoder(in_channels, 32, 16))  # raises what is wrong

torch.manual_seed(0)
graph = vgae.load_dataset("stdlib")
split = vgae.split_links(graph)
encoder = SAGEEncoder(graph.num_features, 32, 16)
model = vgae.VAE(encoder, vgae.InnerProductDecoder(weighting="kipf"))
vgae.fit(graph, split, model=model)
print(vgae.evaluate(model, graph, split)["test"])

"""Use GCNEncoder alone, in a PyG script of your own: node classification on half the labels."""

import torch
import torch.nn.functional as F
from torch_geometric.data import Data

from vgae import GCNEncoder, load_dataset

torch.manual_seed(0)
data: Data = load_dataset("stdlib").to_pyg()  # any Data with x and edge_index will do
encoder = GCNEncoder(data.num_features, 64, 32)
head = torch.nn.Linear(32, int(data.y.max()) + 1)
optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=0.01)
train = torch.rand(data.num_nodes) < 0.5

for _ in range(100):
    optimizer.zero_grad()
    q = encoder(data.x, data.edge_index)  # called like any PyG layer; q.mu is the embedding
    logits = head(q.rsample())
    loss = F.cross_entropy(logits[train], data.y[train]) + 1e-4 * q.kl().mean()
    loss.backward()
    optimizer.step()

with torch.no_grad():
    right = head(encoder(data.x, data.edge_index).mu).argmax(dim=1) == data.y
print(f"accuracy on the other half: {right[~train].float().mean():.3f}")

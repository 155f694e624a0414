"""A networkx graph in, embeddings with node names and the most likely new links out."""

import networkx as nx
import torch

import vgae

graph = vgae.Graph.from_networkx(nx.les_miserables_graph())  # names are kept; no features needed
split = vgae.split_links(graph, val=0, test=0)  # nothing held out: train on every link
result = vgae.fit(graph, split, model="vgae")
q = vgae.embed(result.model, graph)

u, v = torch.triu_indices(graph.num_nodes, graph.num_nodes, offset=1)
linked = torch.from_numpy(graph.to_scipy().toarray())[u, v].bool()
logits = result.model.decoder.logits(q.mu, torch.stack([u, v]))
logits[linked] = -torch.inf
for k in logits.topk(5).indices:
    print(f"{graph.ids[u[k]]} - {graph.ids[v[k]]}: score {logits[k]:.2f}")

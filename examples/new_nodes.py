"""Embed nodes that were not there in training: the encoder needs their features, and links."""

import torch

import vgae

graph = vgae.load_dataset("stdlib")
known = torch.rand(graph.num_nodes, generator=torch.Generator().manual_seed(0)) < 0.9
old = torch.cumsum(known, dim=0) - 1  # the number of each known node among the known ones
among_known = known[graph.links].all(dim=0)
before = vgae.Graph.from_edges(old[graph.links[:, among_known]], x=graph.x.to_dense()[known])

split = vgae.split_links(before, val=0, test=0)  # no feature and no link of the rest is seen
result = vgae.fit(before, split)
vgae.save_pretrained(result.model, "before")

model = vgae.from_pretrained("before")  # elsewhere, later: the whole graph has arrived
q = vgae.embed(model, graph)
print(f"trained on {before.num_nodes} nodes, embedded {q.mu.shape[0]}")
table = vgae.predict_links(model, graph, k=3, nodes=[graph.ids[int((~known).nonzero()[0])]])
for row in table.to_dict()["links"]:
    print(f"{row['source']} - {row['target']}: score {row['score']:.2f}")

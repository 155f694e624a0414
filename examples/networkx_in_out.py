"""A networkx graph in; embeddings and proposed links out, as networkx again, names kept."""

import networkx as nx

import vgae
from vgae.prediction.export import networkx_with_embeddings

characters = nx.les_miserables_graph()  # any graph; its attribute `weight` is taken for weights
graph = vgae.Graph.from_networkx(characters)
split = vgae.split_links(graph, val=0, test=0)  # nothing held out: train on every link
result = vgae.fit(graph, split)

embedded = networkx_with_embeddings(graph, vgae.embed(result, graph))
print("Valjean is at", [round(value, 2) for value in embedded.nodes["Valjean"]["mu"][:4]], "...")

proposed = vgae.predict_links(result, graph, k=1).to_networkx()
for u, v, link in sorted(proposed.edges(data=True), key=lambda edge: -edge[2]["score"])[:5]:
    print(f"{u} - {v}: score {link['score']:.2f}")

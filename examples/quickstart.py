"""Train on the embedded graph, judge the held-out links, save the embeddings."""

import vgae
from vgae.prediction.export import write_embeddings

graph = vgae.load_dataset("stdlib")  # or "cora", or vgae.Graph.from_networkx(...)
split = vgae.split_links(graph, seed=0)  # 85 % to train on, 5 % validation, 10 % test
print(graph, split, sep="\n")

result = vgae.fit(graph, split, seed=0)  # the recipe best, 350 epochs
for part, scores in vgae.evaluate(result.model, graph, split).items():
    print(f"{part:5} AUC {scores.auc:.3f}  AP {scores.ap:.3f}")

q = vgae.embed(result.model, graph)  # a Gaussian per node: q.mu, q.logvar
write_embeddings("stdlib.csv", graph.ids, q)
print(f"stdlib.csv: {q.mu.shape[0]} nodes, {q.mu.shape[1]} dimensions")

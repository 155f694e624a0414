"""Several relations between users and items: scores and proposals of each."""

import numpy as np
import pandas as pd

import vgae

generator = np.random.default_rng(0)
users, items = [f"user{k}" for k in range(80)], [f"item{k}" for k in range(50)]
taste = {name: int(generator.integers(3)) for name in (*users, *items)}  # hidden
rows = []
for relation, others, count in (("follows", users, 500), ("buys", items, 700)):
    while count:
        source, target = generator.choice(users), generator.choice(others)
        # Users buy what they like, and follow those of another taste.
        if (taste[source] == taste[target]) == (relation == "buys"):
            rows.append((source, relation, target))
            count -= 1
edges = pd.DataFrame(rows, columns=["source", "relation", "target"])

graph = vgae.TypedGraph.from_pandas(edges, relation="relation")
split = vgae.split_links(graph, val=0.1, test=0.1)  # of each relation, audited across them
result = vgae.fit(graph, split, model="rgcn-vgae")
scores = vgae.evaluate(result, graph, split)["test"]
for name, score in scores.relations.items():
    print(f"{name}: AUC {score.auc:.3f}, AP {score.ap:.3f}")
print(f"mean: AUC {scores.auc:.3f}, AP {scores.ap:.3f}")
print(vgae.predict_links(result, graph, 3, relation="buys", nodes=["user7"]).to_pandas())

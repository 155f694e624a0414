"""A table of people as it is: its embedding, ten proposed links, the table of the next month.

Usage: python examples/people.py
"""

import random
from pathlib import Path

import pandas as pd

import vgae

draw = random.Random(0)
names = [f"Person {k:02}" for k in range(60)]
pairs = [draw.sample(names, 2) for _ in range(240)]
Path("friends.csv").write_text("source,target\n" + "".join(f"{a},{b}\n" for a, b in pairs))
pd.DataFrame(
    {
        "name": names,
        "age": [draw.choice([None, 20, 31, 45]) for _ in names],
        "city": [draw.choice(["Bern", "Ulm", "Graz"]) for _ in names],
        "joined": [f"2026-{k % 12 + 1:02}-01" for k in range(60)],
        "notes": [f"likes {draw.choice(['tea', 'chess', 'singing'])}, no. {k}" for k in range(60)],
    }
).to_csv("people.csv", index=False)

people = pd.read_csv("people.csv")
graph = vgae.read_graph("friends.csv", features="people.csv", encode={"notes": "hash"})
split = vgae.split_links(graph)
model = vgae.fit(graph, split).model
z = pd.DataFrame(vgae.embed(model, graph).mu.numpy(), index=graph.ids).add_prefix("z_")
print(people.join(z, on="name"))
print(vgae.predict_links(model, graph, 10, overall=True).to_pandas())

later = vgae.read_graph("friends.csv", features="people.csv", encode=graph.feature_encoder)
print(tuple(vgae.embed(model, later).mu.shape))

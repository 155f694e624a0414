"""Model cards: ``README.md`` beside the weights, in the layout of the Hugging Face Hub."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vgae.models.registry import MODELS, TYPED_MODELS
from vgae.runtime.atomic import replacing
from vgae.version import __version__

NAME = "README.md"
_TAGS = {
    "graph": ("graph-neural-network", "link-prediction", "node-embedding"),
    "typed_graph": ("graph-neural-network", "link-prediction", "knowledge-graph"),
    "images": ("image-embedding", "image-generation"),
}
_PIPELINES = {"graph": "graph-ml", "typed_graph": "graph-ml", "images": "feature-extraction"}
_INPUTS = {
    "graph": 'graph = vgae.read_graph("links.csv")  # with the features of the training\n'
    "q = vgae.embed(model, graph)  # q.mu: one vector for each node",
    "typed_graph": "# edges: a data frame with the relations of the training\n"
    'graph = vgae.TypedGraph.from_pandas(edges, relation="kind")\n'
    "q = vgae.embed(model, graph)  # q.mu: one vector for each node",
    "images": 'images = vgae.load_images("images.npy")  # pixels in [0, 1]\n'
    "q = vgae.embed_images(model, images.test)  # q.mu: one vector for each image",
}


class Score(NamedTuple):
    """A score of a model.

    Attributes:
        kind: Name of the metric on the hub, such as ``"roc_auc"``.
        name: Its name for readers.
        value: The score.
        interval: Its 95 % interval, if known.
    """

    kind: str
    name: str
    value: float
    interval: Sequence[float] | None = None


class Card(NamedTuple):
    """What a card says, beside what follows from the kind of model.

    Attributes:
        kind: ``"graph"``, ``"typed_graph"`` or ``"images"``.
        model: Name of the model, such as ``"vgae"``.
        latent_channels: Width d of its vectors.
        data: Name of the data of the training; empty if not known.
        facts: Sentences on data and training.
        scores: Scores on held-out data.
        protocol: How the scores came about.
        limits: Sentences on what the model is not for.
    """

    kind: str
    model: str
    latent_channels: int
    data: str = ""
    facts: Sequence[str] = ()
    scores: Sequence[Score] = ()
    protocol: str = ""
    limits: Sequence[str] = ()


def write_card(folder: Path, card: Card) -> None:
    """Write the card of a model into its folder; equal cards have equal bytes."""
    with replacing(folder / NAME) as temporary:
        temporary.write_bytes(card_text(card).encode("utf-8", "backslashreplace"))


def card_text(card: Card) -> str:
    """Return a card as Markdown, after a front matter in YAML."""
    title = f"{card.model} on {_plain(card.data)}" if card.data else card.model
    known = {**MODELS, **TYPED_MODELS}.get(card.model)
    what = known.title if known else "variational auto-encoder"
    article = "an" if what[0] in "aeiou" else "a"
    parts = [
        _front(card, title),
        f"# {title}",
        f"This is {article} {what} with {card.latent_channels:,} latent dimensions, trained with"
        f" vgae {__version__}. " + " ".join(card.facts),
    ]
    if card.scores:
        rows = [f"| {s.name} | {s.value:.4f} | {_range(s.interval)} |" for s in card.scores]
        table = ["| score | value | 95 % interval |", "|---|--:|--:|", *rows]
        parts += ["## Scores", "\n".join(table), card.protocol]
    parts += ["## Use", f"```python\nimport vgae\n\n{_loading(card)}\n```"]
    if card.limits:
        parts += ["## Limits", "\n".join(f"- {limit}" for limit in card.limits)]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _front(card: Card, title: str) -> str:
    """Return the front matter; texts are written as in JSON, which YAML includes."""
    tags = sorted({"vgae", "variational-autoencoder", *_TAGS[card.kind]})
    lines = ["---", "library_name: vgae", f"pipeline_tag: {_PIPELINES[card.kind]}", "tags:"]
    lines += [f"- {tag}" for tag in tags]
    if card.scores:
        data = json.dumps(card.data)
        task = "graph-ml" if card.kind != "images" else "feature-extraction"
        lines += ["model-index:", f"- name: {json.dumps(title)}", "  results:"]
        lines += ["  - task:", f"      type: {task}", "    dataset:"]
        lines += [f"      name: {data}", f"      type: {data}", "    metrics:"]
        for score in card.scores:
            name, value = json.dumps(score.name), json.dumps(score.value)
            lines += [f"    - type: {score.kind}", f"      name: {name}", f"      value: {value}"]
    return "\n".join([*lines, "---"])


def _loading(card: Card) -> str:
    first = 'model = vgae.from_pretrained("FOLDER")  # or "hf:USER/MODEL" from the hub'
    code = f'vgae.use_code("{card.model}")  # the module with the encoder\n'
    return f"{code if ':' in card.model else ''}{first}\n{_INPUTS[card.kind]}"


def _range(interval: Sequence[float] | None) -> str:
    return "" if not interval else f"{interval[0]:.4f} to {interval[1]:.4f}"


def _plain(text: str) -> str:
    """Return a name as text of one line that Markdown and HTML take as it is."""
    words = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in words)


def card_of_config(config: Mapping[str, Any]) -> Card:
    """Return the card of a model that is known by its ``config.json`` alone."""
    if "shape" in config:
        channels, height, width = config["shape"]
        fact = f"It takes images of {channels} x {height} x {width} numbers in [0, 1]."
        return Card("images", config["model"], config["recipe"]["latent_channels"], facts=[fact])
    kind = "typed_graph" if config["model"] in TYPED_MODELS else "graph"
    fact = f"Its encoder takes {config['in_channels']:,} features, or nodes without features."
    return Card(kind, config["model"], config["latent_channels"], facts=[fact])

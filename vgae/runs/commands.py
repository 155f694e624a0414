"""Options and results of the commands that kinds of runs implement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from vgae.data.reading import Reading
from vgae.models.graph_vectors import Readout
from vgae.vae import Posterior


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of ``vgae evaluate``, where they are described; a kind uses those of its data."""

    tasks: Sequence[str] = ("links",)
    messages: str = "train"
    hard: int | str = 0
    samples: int | None = None
    allow_seen: bool = False
    readout: Readout = "moments"
    progress: bool | None = None


@dataclass(frozen=True)
class EmbeddingOptions:
    """Options of ``vgae embed``, where they are described; a kind uses those of its data."""

    graph: str | None = None
    features: str = "raw"
    messages: str = "train"
    reading: Reading = Reading()
    graphs: bool = False
    readout: Readout = "moments"


class Embedding(NamedTuple):
    """Posterior, name and label of each item, and the word for the items: ``"nodes"``.

    ``more`` are further values of each item by name, arrays of length N.
    """

    q: Posterior
    ids: Sequence[int | str]
    items: str
    labels: Sequence[int | str | None] | None = None
    more: Mapping[str, np.ndarray] = MappingProxyType({})

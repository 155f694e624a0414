"""Arrays of the files of link splits, and their description."""

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import Tensor

from vgae.errors import check_choice
from vgae.graphs.defaults import Task
from vgae.graphs.grid import grid_from
from vgae.graphs.pairs import LabelledPairs
from vgae.graphs.previews import split_preview

if TYPE_CHECKING:
    from vgae.graphs.split import LinkSplit

_FORMAT, _PER_LINK, _GRID, _GRAPHS = (f"vgae-split-{number}" for number in range(1, 5))
_PARTS = ("train", "val_pos", "val_neg", "test_pos", "test_neg")


def split_parts(split: "LinkSplit") -> dict[str, Tensor]:
    """Return the pairs of the parts of a split, by name; by whole graphs also the context."""
    values = (split.train, split.val.pos, split.val.neg, split.test.pos, split.test.neg)
    own = {} if split.graph_part is None else {"context": split.context}
    return dict(zip(_PARTS, values, strict=True)) | own


def split_arrays(split: "LinkSplit") -> dict[str, np.ndarray]:
    """Return the arrays of a file.

    Its format is the first one in which earlier versions read all that it says.
    """
    head = {name: getattr(split, name) for name in ("num_nodes", "seed", "fingerprint")}
    own = {"val_per_link": split.val.per_link, "test_per_link": split.test.per_link}
    kind = split.grid.arrays()
    if split.graph_part is not None:
        part = {"graph_part": split.graph_part.numpy()}
        content = {"format": _GRAPHS, **head, **own, **kind, "task": split.task, **part}
    elif kind:
        content = {"format": _GRID, **head, **own, **kind, "task": split.task}
    elif any(own.values()):
        content = {"format": _PER_LINK, **head, **own}
    else:
        content = {"format": _FORMAT, **head}
    content |= {name: pairs.numpy() for name, pairs in split_parts(split).items()}
    return {name: np.asarray(value) for name, value in content.items()}


def fields_from(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a split from :func:`split_arrays`.

    Raises:
        KeyError: If an array is missing.
        ValueError: If the format is unknown, or a value does not fit.
    """
    known = (_FORMAT, _PER_LINK, _GRID, _GRAPHS)
    if (found := str(content["format"])) not in known:
        raise ValueError(f"format is {found}, expected {' or '.join(known)}")
    num_nodes, seed = (operator.index(content[name]) for name in ("num_nodes", "seed"))
    parts: list[Any] = [content[name] for name in _PARTS]
    own = [0, 0]
    if found != _FORMAT:
        own = [operator.index(content[f"{name}_per_link"]) for name in ("val", "test")]
    val, test = (LabelledPairs(parts[k], parts[k + 1], own[k // 2]) for k in (1, 3))
    task = str(content.get("task", "general"))
    check_choice("task", task, Task)
    more = {name: content[name] for name in ("graph_part", "context")} if found == _GRAPHS else {}
    return {
        **{"num_nodes": num_nodes, "train": parts[0], "val": val, "test": test, "seed": seed},
        **{"fingerprint": str(content["fingerprint"]), "task": cast(Task, task)},
        **{"grid": grid_from(num_nodes, content), **more},
    }


def described(self: "LinkSplit") -> str:
    """Return the number of pairs of each part, and of the graphs in a split by whole graphs."""
    train, val, val_neg, test, test_neg, *_ = (p.shape[1] for p in split_parts(self).values())
    graphs = ["", "", ""]
    if self.graph_part is not None:
        counts = np.bincount(self.graph_part.numpy(), minlength=3).tolist()
        graphs = [f" in {count} graphs" for count in counts]
    return (
        f"LinkSplit(seed={self.seed}: {train} links to train on{graphs[0]}, {val} for validation"
        f" with {val_neg} non-links{graphs[1]}, {test} for test with {test_neg}{graphs[2]})"
    )


def split_html(self: "LinkSplit") -> str:
    """Return the same as a table in HTML."""
    return split_preview(self).html()

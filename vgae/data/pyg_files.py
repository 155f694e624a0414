"""Graphs of PyG in files ``.pt``: ``Data``, ``Batch``, lists of ``Data``, collated data sets.

A collated data set is ``(data, slices)``, as in ``processed/data.pt``: ``data`` has the values of
all graphs one after another, ``slices`` the first place of each graph.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vgae.data.graph_tables import links_within
from vgae.data.reading import Reading
from vgae.data.torch_files import Stored, read_objects
from vgae.errors import DataError, UsageError
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.interop import is_batch
from vgae.runtime import limits
from vgae.runtime.reading import brief

log = logging.getLogger(__name__)

_KINDS = "a Data, a Batch, a list of Data, or (data, slices) as a data set of PyG saves it"


def read_pt(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph, or the graphs, of a file that ``torch.save`` wrote of PyG.

    Raises:
        DataError: ``PT_REFUSED`` if it holds other objects, or is damaged; or as
            :meth:`vgae.Graph.from_pyg`.
        UsageError: ``WEIGHT_COLUMN`` for a weight that there is not.
    """
    content, size = read_objects(path), path.stat().st_size
    try:
        found = _graphs(content)
        used = sum(
            _size(value, size)
            for values in found
            for value in values.values()
            if _is_tensor(value)
        )
    except (ValueError, TypeError, IndexError, RuntimeError) as error:
        raise DataError("PT_REFUSED", f"{path}: {brief(error)}; it must hold {_KINDS}.") from None
    limits.NPZ.check(used, size, path)
    items = [_data(values, reading) for values in found]
    given: Any = items if isinstance(content, list | tuple) else items[0]
    if not is_batch(given):
        return Graph.from_pyg(given, name=name, **reading.of_links())
    links = {key: value for key, value in links_within(reading).items() if key != "sides"}
    return GraphCollection.from_pyg(given, name=name, **links)


def _graphs(content: Any) -> list[dict[str, Any]]:
    """Return the values of each graph by name."""
    if isinstance(content, Stored) or _is_graph(content):
        return [_values(content)]
    if isinstance(content, list):
        return [_values(item) for item in content]
    if isinstance(content, tuple) and len(content) in (2, 3) and isinstance(content[1], Mapping):
        return _cut(_values(content[0]), content[1])
    raise ValueError(f"it holds a {type(content).__name__}")


def _is_graph(content: Any) -> bool:
    return isinstance(content, Mapping) and "edge_index" in content


def _values(item: Any) -> dict[str, Any]:
    values = item.values() if isinstance(item, Stored) else item
    if not isinstance(values, Mapping) or not isinstance(values.get("edge_index"), Tensor):
        raise ValueError("a graph has no edge_index")
    return {str(key): value for key, value in values.items() if value is not None}


def _cut(values: dict[str, Any], slices: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the values of each graph of a collated data set."""
    places: dict[str, list[int]] = {}
    for key in values:
        if key in slices:
            place = torch.as_tensor(slices[key]).long()
            own = values[key]
            length = own.shape[_axis(key)] if isinstance(own, Tensor) else len(own)
            if (place[1:] < place[:-1]).any() or place[0] != 0 or place[-1] > length:
                raise ValueError(f"the slices of {key} do not fit")
            places[key] = place.tolist()
    counts = {len(place) for place in places.values()}
    if len(counts) != 1 or "edge_index" not in places:
        raise ValueError("slices must have places of edge_index and of what all graphs have")
    found = []
    for number in range(counts.pop() - 1):
        own = {}
        for key, place in places.items():
            first, last = place[number], place[number + 1]
            value = values[key]
            if isinstance(value, Tensor):
                own[key] = value.narrow(_axis(key), first, last - first)
            elif last > first:
                own[key] = value[first]
        if isinstance(count := own.get("num_nodes"), Tensor):
            own["num_nodes"] = int(count.reshape(-1)[0])
        found.append(own)
    return found


def _axis(key: str) -> int:
    """Return the axis along which PyG joins a value."""
    return -1 if "index" in key or key == "face" else 0


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _size(value: Tensor, size: int) -> int:
    """Return the bytes of a tensor, or raise if it is larger than its file."""
    # A few bytes may stand for any number of elements, by strides of zero.
    used = value.numel() * value.element_size() if value.layout == torch.strided else size + 1
    if used > size:
        raise ValueError("a tensor is sparse, or larger than the file")
    return used


def _data(values: Mapping[str, Any], reading: Reading) -> Any:
    """Return a ``Data`` with tensors and numbers alone, and the weights that are asked for."""
    from torch_geometric.data import Data

    own: dict[str, Any] = {k: v for k, v in values.items() if isinstance(v, Tensor | int | float)}
    if reading.weight == "none":
        own.pop("edge_weight", None)
    elif reading.weight is not None:
        weight = own.get(reading.weight)
        if not isinstance(weight, Tensor) or weight.dim() not in (1, 2):
            shown = ", ".join(
                key for key in own if key.startswith("edge_") and key != "edge_index"
            )
            raise UsageError(
                "WEIGHT_COLUMN",
                f"a graph has no weights {reading.weight!r:.60} (weight, --weight); of its edges"
                f" it has {shown or 'nothing'}.",
            )
        if reading.weight != "edge_weight":
            del own[reading.weight]
        own["edge_weight"] = weight.reshape(len(weight), -1)[:, 0]
    return Data(**own)

"""Program that reads a file by scipy or h5py, and writes its graph as npz.

A process of its own: their native code can crash, or fill the memory, on a damaged file. It
imports nothing of this package. Arguments: kind, file, output, bytes of memory, and JSON options.
It prints one line of JSON: messages, or the code and message of an error.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

REFUSED = 3
GRAPHS = ("network", "net", "adjacency", "adj", "a", "w", "graph")
LABELS = ("group", "label", "labels", "gnd", "class", "y")
FEATURES = ("attributes", "features", "attrb", "attr", "feature", "feat", "x", "fea")

Arrays = dict[str, Any]


class Refused(Exception):
    """A file that is not read: code and message."""


def limit_memory(size: int) -> None:
    """Limit what this process may take beside what it has."""
    statm = Path("/proc/self/statm")
    if not statm.exists():  # only on Linux does the limit hold what it should
        return
    import resource

    most = int(statm.read_text().split()[0]) * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def parts_of(prefix: str, matrix: Any) -> Arrays:
    """Return a sparse matrix as arrays by name, a dense one under the prefix."""
    import numpy as np
    import scipy.sparse as sp

    if not sp.issparse(matrix):
        return {prefix: np.asarray(matrix)}
    csr = sp.csr_array(matrix)
    parts = {"data": csr.data, "indices": csr.indices, "indptr": csr.indptr}
    parts["shape"] = np.array(csr.shape)
    return {f"{prefix}_{name}": part for name, part in parts.items()}


def is_numbers(value: Any) -> bool:
    """Return whether a variable is a matrix of numbers."""
    return getattr(value, "ndim", 0) == 2 and value.dtype.kind in "biufc"


def read_mat(path: str, graph: str | None) -> tuple[Arrays, list[str]]:
    """Return the arrays of a MATLAB file, and messages."""
    import scipy.io
    import scipy.sparse as sp

    found: dict[str, Any] = {
        name: value for name, value in scipy.io.loadmat(path).items() if name[:2] != "__"
    }
    listed = ", ".join(found)[:200] or "nothing"
    problem = found.pop("Problem", None)
    if problem is not None and problem.dtype.names and "A" in problem.dtype.names and problem.size:
        found["A"] = problem.reshape(-1)[0]["A"]
    named = {name.lower(): name for name in found}
    square = {k for k, v in found.items() if is_numbers(v) and v.shape[0] == v.shape[1] > 1}
    if graph is not None and graph not in square:
        shown = ", ".join(sorted(square))[:200] or "none"
        raise Refused(
            "MAT_GRAPH",
            f"{graph!r:.60} (weight, --weight) is none of its square matrices, {shown}",
        )
    graph = graph or next((named[name] for name in GRAPHS if named.get(name) in square), None)
    if graph is None:
        matrices = [name for name in square if sp.issparse(found[name])]
        if len(matrices) != 1:
            what = "a square matrix network, net, A or adjacency"
            cure = "; choose one by weight='NAME' (--weight NAME)" if square else ""
            raise Refused("MAT_GRAPH", f"it has no graph: {what}; found {listed}{cure}")
        (graph,) = matrices
    used, arrays = {graph}, parts_of("adj", found[graph])
    notes = [f"graph from {graph}"]
    for title, names in (("attr", FEATURES), ("labels", LABELS)):
        chosen = beside(found, [named[name] for name in names if name in named], used, graph)
        if chosen is not None:
            value = found[chosen]
            is_row = value.shape[0] == 1 != found[graph].shape[0]
            arrays |= parts_of(title, value.T if is_row else value)
            used.add(chosen)
            notes.append(f"{'features' if title == 'attr' else title} from {chosen}")
    if left := sorted(set(found) - used):
        notes.append(f"left out: {', '.join(left)[:200]}")
    return arrays, [", ".join(notes)]


def beside(found: Arrays, names: Sequence[str], used: set[str], graph: str) -> str | None:
    """Return the first variable with a row, or one number, for each node."""
    size = found[graph].shape[0]
    for name in names:
        value = found[name]
        if name not in used and is_numbers(value) and size in (value.shape[0], value.size):
            return name
    return None


def part(item: Any, name: str) -> Any:
    """Return a part of an HDF5 file, or raise if it or what is in it leads to another file."""
    import h5py

    for key in name.split("/"):
        link = item.get(key, getlink=True)
        if link is not None and not isinstance(link, h5py.HardLink):
            raise Refused("H5AD_CORRUPT", f"{name} leads to another file or place")
        item = item[key]
    if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
        raise Refused("H5AD_CORRUPT", f"{name} leads to another file")
    return item


def read_h5ad(path: str, graph: str | None, label: str | None) -> tuple[Arrays, list[str]]:
    """Return the arrays of an AnnData file, and messages."""
    import h5py
    import numpy as np

    with h5py.File(path, "r") as opened:
        file: Any = opened

        def keys(name: str) -> list[str]:
            return list(part(file, name)) if name in file else []

        if "_index" not in (file["obs"].attrs if "obs" in file else ()):
            cure = "read it by anndata and write it again"
            raise Refused("H5AD_CORRUPT", f"it is not AnnData of version 0.7 or later; {cure}")
        chosen = chosen_graph(keys("obsp"), graph)
        arrays = parts_of("adj", matrix(part(file, f"obsp/{chosen}")))
        source = "obsm/X_pca" if "X_pca" in keys("obsm") else "X" if "X" in file else None
        x = None if source is None else matrix(part(file, source))
        if x is not None:
            arrays |= parts_of("attr", x)
        if source == "X" and "var" in file and "_index" in part(file, "var").attrs:
            arrays["attr_names"] = np.array(column(file["var"], file["var"].attrs["_index"]))
        obs = part(file, "obs")
        names = column(obs, obs.attrs["_index"])
        arrays["node_names"] = np.array(names)
        if label is not None:
            listed = [str(key) for key in obs.attrs.get("column-order", ())]
            if label not in listed:
                shown = ", ".join(listed)[:200] or "none"
                what = f"obs has no column {label!r:.60}; it has {shown}"
                raise Refused("LABEL_COLUMN", what)
            arrays["labels"] = np.array(column(obs, label))
    return arrays, [f"graph from obsp/{chosen}, features from {source}, {len(names)} nodes"]


def matrix(item: Any) -> Any:
    """Return a matrix, sparse if it is stored so; ``None`` for an empty dataset."""
    import h5py
    import scipy.sparse as sp

    if isinstance(item, h5py.Dataset):
        return None if item.shape is None else item[()]
    data, indices, indptr = (part(item, name)[()] for name in ("data", "indices", "indptr"))
    shape = tuple(int(size) for size in item.attrs["shape"])
    kind = str(item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", "csr")))
    make = sp.csc_array if kind.startswith("csc") else sp.csr_array
    return make((data, indices, indptr), shape=shape)


def column(table: Any, name: str) -> list[str]:
    """Return a column of a table as text, empty where unknown."""
    import h5py

    item = part(table, str(name))
    if isinstance(item, h5py.Dataset):
        is_text = h5py.check_string_dtype(item.dtype) is not None
        values = (item.asstr() if is_text else item)[()]
        return ["" if value != value else str(value) for value in values]
    if "codes" in item:
        names = column(item, "categories")
        return [names[code] if code >= 0 else "" for code in part(item, "codes")[()].tolist()]
    mask = part(item, "mask")[()].tolist()
    pairs = zip(column(item, "values"), mask, strict=True)
    return ["" if is_unknown else value for value, is_unknown in pairs]


def chosen_graph(graphs: Sequence[str], given: str | None) -> str:
    """Return the name of the graph in ``obsp``."""
    if not graphs:
        cure = "make one by scanpy.pp.neighbors(adata), and write it again"
        raise Refused("H5AD_GRAPH", f"it has no graph in obsp; {cure}")
    usual = "connectivities" if "connectivities" in graphs else graphs[0]
    if given is not None and given in graphs:
        return given
    if given is not None or (usual != "connectivities" and len(graphs) > 1):
        cure = "by weight='NAME' (--weight NAME)"
        listed = ", ".join(graphs)[:200]
        raise Refused("H5AD_GRAPH", f"choose one of the graphs in obsp, {listed}, {cure}")
    return usual


def answer(read: Callable[[], tuple[Arrays, list[str]]], kind: str, output: str) -> Arrays:
    """Write the arrays; return the messages, or code and message of an error."""
    import numpy as np

    try:
        arrays, notes = read()
        for name, part in arrays.items():
            if part.dtype.kind not in "biufcU":
                raise Refused("FILE_FORMAT", f"{name} holds {part.dtype}, not numbers")
        with Path(output).open("wb") as file:
            np.savez(file, **arrays)
    except Refused as error:
        code, message = error.args
        return {"code": code, "message": message}
    except MemoryError:
        return {"code": "UNPACKED_SIZE", "message": "it takes more memory than its size allows"}
    except Exception as error:
        reason = ascii(str(error) or type(error).__name__)[1:-1][:120]
        return {
            "code": f"{kind.upper()}_CORRUPT",
            "message": f"it is damaged ({reason}); download it again",
        }
    return {"notes": notes}


def main(kind: str, path: str, output: str, memory: str, options: str) -> None:
    """Read a file, and print the answer."""
    # Imported before the limit, which is for what the file holds.
    import scipy.io  # noqa: F401

    given = json.loads(options)
    if kind == "h5ad":
        import h5py  # noqa: F401
    limit_memory(int(memory))
    said = answer(lambda: (read_h5ad if kind == "h5ad" else read_mat)(path, **given), kind, output)
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

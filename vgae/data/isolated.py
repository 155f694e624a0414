"""Files of MATLAB and AnnData, whose readers run in a process of their own.

The libraries of these formats, scipy and HDF5, can crash on damaged files, or fill the memory.
"""

import json
import logging
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vgae.data.array_graphs import graph_of_arrays
from vgae.data.reading import Reading
from vgae.errors import DataError, printable
from vgae.graphs.graph import Graph
from vgae.runtime import limits
from vgae.runtime.npz import read_arrays
from vgae.runtime.tables import optional_module

log = logging.getLogger(__name__)

_PROGRAM = Path(__file__).with_name("_isolated_reader.py")
_SECONDS = 600
_MEMORY = 2 * 2**30
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_mat(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph of a MATLAB file up to version 7.

    The adjacency is ``network``, ``net``, ``adjacency``, ``adj`` or ``A`` (also that of the struct
    ``Problem`` of SuiteSparse), or the only square sparse matrix, or ``reading.weight``; features
    are ``attributes``, ``features``, ``attrb`` or ``X``; labels are ``group``, ``label`` or
    ``gnd``, one-hot or one number for each node. Capitals do not matter.

    Raises:
        DataError: ``FILE_FORMAT`` for version 7.3; ``MAT_CORRUPT``; ``MAT_GRAPH`` if there is no
            such matrix; ``UNPACKED_SIZE``; or as :func:`vgae.data.array_graphs.graph_of_arrays`.
    """
    with path.open("rb") as file:
        head = file.read(520)
    if head.startswith(b"MATLAB 7.3") or _HDF5 in (head[:8], head[512:]):
        raise DataError(
            "FILE_FORMAT",
            "it is of version 7.3 of MATLAB, which is HDF5; save it in MATLAB by"
            " save('file.mat', 'network', '-v7').",
        )
    return _graph("mat", path, reading, name)


def read_h5ad(path: Path, reading: Reading, name: str) -> Graph:
    """Return the graph of cells in an AnnData file.

    Links and weights are from ``obsp["connectivities"]``, or the only graph, or the one that
    ``reading.weight`` names; features from ``obsm["X_pca"]``, or else ``X``; names from the index
    of ``obs``; labels from the column ``reading.label_column`` of ``obs``.

    Raises:
        UsageError: ``MISSING_PACKAGE`` without h5py, which the extra ``anndata`` installs.
        DataError: ``H5AD_CORRUPT``; ``H5AD_GRAPH`` without a graph, or with several;
            ``LABEL_COLUMN``; ``UNPACKED_SIZE``; or as
            :func:`vgae.data.array_graphs.graph_of_arrays`.
    """
    with path.open("rb") as file:
        if file.read(8) != _HDF5:
            raise DataError("H5AD_CORRUPT", "it is not HDF5; download it again.")
    optional_module("h5py", "anndata")
    return _graph("h5ad", path, reading, name, label=reading.label_column)


def _graph(kind: str, path: Path, reading: Reading, name: str, **options: Any) -> Graph:
    graph = None if reading.weight == "none" else reading.weight
    arrays = _arrays(kind, path, {"graph": graph, **options})
    chosen = reading if graph is None else replace(reading, weight=None)
    return graph_of_arrays(arrays, name, chosen, where=path)


def _arrays(kind: str, path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arrays that the program finds in a file, and log its messages."""
    most = _MEMORY + max(limits.NPZ.always, limits.NPZ.times * path.stat().st_size)
    with tempfile.TemporaryDirectory(prefix="vgae-") as folder:
        output = Path(folder) / "graph.npz"
        arguments = [kind, str(path.resolve()), str(output), str(most), json.dumps(options)]
        try:
            # -P: the folder of the program is not one of modules.
            ended = subprocess.run(
                [sys.executable, "-P", str(_PROGRAM), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DataError(
                f"{kind.upper()}_CORRUPT", f"reading takes over {_SECONDS} s."
            ) from None
        try:
            said = json.loads(ended.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            status = ended.returncode
            last = ended.stderr.decode("ascii", "backslashreplace").strip().splitlines()[-1:]
            why = signal.Signals(-status).name if status < 0 else f"exit status {status} {last}"
            raise DataError(
                f"{kind.upper()}_CORRUPT", f"its reader ended by {why}; the file is damaged."
            ) from None
        if "code" in said:
            raise DataError(said["code"], f"{printable(said['message'])}.")
        for note in said["notes"]:
            log.info("%s: %s", path, printable(note))
        return read_arrays(output)

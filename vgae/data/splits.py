"""Reading of link splits that come with a data set, and splits by the time of the links."""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vgae.data.edge_lists import EdgeList, read_edge_list, read_edges
from vgae.data.npy import read_npy
from vgae.data.ogb import ogb_pairs, split_folders
from vgae.data.packed import unpacked_name
from vgae.data.reading import Reading
from vgae.data.torch_files import read_integers
from vgae.errors import DataError, printable
from vgae.graphs.canonical import link_positions
from vgae.graphs.column_names import is_usual_pair
from vgae.graphs.defaults import TEST_FRACTION, VAL_FRACTION, Task
from vgae.graphs.graph import Graph
from vgae.graphs.held_out import in_parts, part_sizes
from vgae.graphs.split import LinkSplit
from vgae.runtime.npz import read_arrays
from vgae.runtime.numerals import is_integer, is_number
from vgae.runtime.reading import file_size, naming

log = logging.getLogger(__name__)

_TEXT = (".txt", ".csv", ".tsv", ".edges", ".edgelist")
_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_LINKS = {"pos", "positive", "edge", "edges", "link", "links", "index", "pairs", "true"}
_NON_LINKS = {"neg", "negative", "negatives", "false", "non", "nonlinks"}
_OWN = {"heart", "samples"}
_SHOWN = 8  # names in a message
_OF_A_PART = re.compile(r"(train|test|valid)|(val|dev)(s|sets?|data|edges?|links?|pos|neg)?$")
_RULE = (
    "names must consist of train, val or test, of _pos, _edges, _links or none for links, of _neg"
    " for non-links, such as val_pos.txt and test_neg.txt; heart_val_samples.npy for non-links of"
    " each link"
)


def read_split(
    path: str | os.PathLike[str], graph: Graph, *, seed: int = 0, task: Task = "general"
) -> LinkSplit:
    """Read a split of the links of a graph, and audit it; nothing is unpickled.

    ======================================  ======================================================
    ``.npz``                                a split as :meth:`LinkSplit.save` writes it; or arrays
                                            such as ``train``, ``val_pos``, ``test_neg``
    the folder of a run                     its ``split.npz``
    a folder of text or ``.parquet``        two names of nodes a line: ``train_pos.txt``,
                                            ``valid_pos.csv``, ``test_neg.tsv`` and so on
    a folder of ``.npy``                    arrays of these names
    a folder of ``.pt``, or one with        dictionaries as OGB writes them: ``edge`` and
    ``split/KIND/*.pt`` in it               ``edge_neg``, or ``source_node``, ``target_node`` and
                                            ``target_node_neg``
    ======================================  ======================================================

    Names contain ``train``, ``val`` (or ``valid``) or ``test``, and may contain ``edge`` or
    ``link``. Arrays hold numbers of nodes, in the shapes of :meth:`LinkSplit.from_pairs`. HeaRT's
    ``heart_valid_samples.npy`` and ``heart_test_samples.npy``, of shape ``(P, K, 2)``, are K
    non-links of each link in the order of ``valid_pos.txt`` and ``test_pos.txt``; the files
    ``*_neg`` are not used then. Absent training links are all that are not held out; absent
    non-links are drawn. Non-links of ``train`` and files whose names have no word of a part are
    not used, and named in a line of the log. Any other name with such a word, as ``test_2024.txt``
    or ``test.dat``, is refused.

    Args:
        path: File or folder.
        graph: Graph whose links are split.
        seed: Seed of the non-links that are drawn.
        task: As for :meth:`LinkSplit.from_pairs`; a file of :meth:`LinkSplit.save` has its own.

    Raises:
        ArtifactError: If a file of :meth:`LinkSplit.save` is damaged.
        DataError: If another file is missing or damaged, or holds no pairs of nodes of the graph;
            ``SPLIT_PARTS`` if its name is not understood.
        LeakageError: If the split leaks; see :meth:`LinkSplit.audit`.
    """
    path = Path(path)
    if (path / "config.json").is_file() and (path / "split.npz").is_file():
        path /= "split.npz"
    with naming(path):
        if path.is_dir():
            found = _files(path, graph)
        else:
            file_size(path)
            if path.suffix.lower() != ".npz":
                raise DataError(
                    "SPLIT_FORMAT", f"a split must be a folder or an .npz file, got {path.name}."
                )
            arrays = read_arrays(path)
            if str(arrays.get("format", "")).startswith("vgae-split-"):
                split = LinkSplit.load(path)
                split.audit(graph)
                return split
            used = _used(arrays, {name: name for name in arrays})
            found = ((name, arrays[name]) for name in used)
        return LinkSplit.from_pairs(graph, **_arranged(found), seed=seed, task=task)


def split_by_time(
    path: str | os.PathLike[str],
    graph: Graph,
    column: str,
    *,
    val: float = VAL_FRACTION,
    test: float = TEST_FRACTION,
    seed: int = 0,
    reading: Reading = Reading(),
) -> LinkSplit:
    """Hold out the last links by time for test, and those before them for validation.

    A link with several times counts at its first, and the two directions of a reciprocal link of a
    directed graph at the first of both; of links of the same time, the first in the file comes
    first. As many non-links as links are drawn.

    Args:
        path: Edge list in text or ``.parquet``, with a header.
        graph: The graph of this file, read with ``time=column``.
        column: Name of the column with the times: numbers, or dates of ISO 8601.
        val: Fraction of the M links for validation, in ``[0, 1)``; the count is rounded down.
        test: Fraction for test, likewise; ``val + test < 1``.
        seed: Seed of the non-links.
        reading: The other options that the graph is read with.

    Raises:
        DataError: ``TIME_COLUMN`` or ``BAD_TIME``; and as for :func:`vgae.split_links`.
        UsageError: If the fractions are out of range.
    """
    path = Path(path)
    num_val, num_test = part_sizes(graph, val, test)
    edges = _edge_list(path, replace(reading, time=column))
    if edges.time is None:
        raise DataError("NO_EDGES", f"{path}: it has no edges.")
    order = edges.time.argsort(kind="stable")
    pairs = torch.from_numpy(_numbered(edges, graph, path)[:, order])
    place = link_positions(pairs, graph.links, graph.grid).numpy()
    links, first = np.unique(place[place >= 0], return_index=True)
    by_time = torch.from_numpy(links[first.argsort(kind="stable")])
    num_train = graph.num_links - num_val - num_test
    parts = in_parts(graph, by_time, num_train, num_val)
    train, held_val, held_test = (graph.links[:, part] for part in parts)
    return LinkSplit.from_pairs(graph, train=train, val=held_val, test=held_test, seed=seed)


def has_columns(path: str | os.PathLike[str]) -> bool:
    """Return whether the name of a file is that of an edge list, in text or ``.parquet``."""
    return unpacked_name(Path(path)).suffix.lower() in (*_TEXT, ".parquet")


def _arranged(found: Iterator[tuple[str, np.ndarray]]) -> dict[str, Any]:
    """Return the arguments of ``from_pairs`` from arrays by the names of their files or keys."""
    given: dict[str, tuple[str, np.ndarray]] = {}
    for name, array in found:
        place = _place(name)
        assert place is not None  # by _used
        if place in given:
            first = given[place][0]
            raise DataError(
                "SPLIT_PARTS", f"{first} and {name} are both {place}; leave one of them out."
            )
        given[place] = name, array
    names = [name for name, _ in given.values()]
    for part in ("val", "test"):
        if own := given.pop(f"{part}_own", None):
            if shared := given.get(f"{part}_neg"):
                log.info("%s is not used: %s has non-links of each link", shared[0], own[0])
            given[f"{part}_neg"] = own
    for place in ("train_neg", "train_own"):
        if unused := given.pop(place, None):
            log.info("%s is not used: a training draws its non-links itself", unused[0])
    _check_held_out(given, names)
    return {place: array for place, (_, array) in given.items()}


def _check_held_out(given: Mapping[str, tuple[str, np.ndarray]], names: list[str]) -> None:
    """Raise ``DataError`` without held-out links, or if non-links of some are empty."""
    for part in ("val", "test"):
        links, neg = given.get(part), given.get(f"{part}_neg")
        if links and neg and links[1].size and not neg[1].size:
            rule = f"{neg[0]} is empty, but {links[0]} is not"
            raise DataError("SPLIT_PARTS", f"{rule}; leave it out, and non-links are drawn.")
    if not any(given[part][1].size for part in ("val", "test") if part in given):
        listed = printable(", ".join(names[:_SHOWN])) or "nothing"
        raise DataError("SPLIT_PARTS", f"it has no links of val or test; {_RULE}; found {listed}.")


def _place(name: str) -> str | None:
    """Return the part that a name stands for, such as ``"val_neg"``; ``None`` for another name."""
    words = {word for word in re.split(r"[\W_]+", name.lower()) if word}
    parts = {_PARTS[word] for word in words if word in _PARTS}
    rest = words - _PARTS.keys()
    if len(parts) != 1 or rest - _LINKS - _NON_LINKS - _OWN:
        return None
    kind = "_own" if rest & _OWN else "_neg" if rest & _NON_LINKS else ""
    return next(iter(parts)) + kind


def _used(names: Iterable[str], stems: Mapping[str, str]) -> list[str]:
    """Return the names that stand for a part, and log the others.

    Args:
        names: Names of files or keys.
        stems: What :func:`_place` reads in a name; without an entry its format is not read.

    Raises:
        DataError: ``SPLIT_PARTS`` if a name has a word of a part, and is not used.
    """
    used, others = [], []
    for name in names:
        place = _place(stems[name]) if name in stems else None
        if place is not None:
            used.append(name)
        elif name.startswith(".") or not any(map(_OF_A_PART.match, _words(name))):
            others.append(name)
        else:
            what = "is not understood" if name in stems else "is of no format of a split"
            raise DataError(
                "SPLIT_PARTS", f"{printable(name)} {what}; rename it, or move it away: {_RULE}."
            )
    if others:
        more = ", ..." * (len(others) > _SHOWN)
        log.info("split: not used: %s%s", printable(", ".join(others[:_SHOWN])), more)
    return used


def _words(name: str) -> list[str]:
    return re.findall("[a-z]+", name.lower())


def _files(folder: Path, graph: Graph) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and pairs of each file of a split."""
    nested = split_folders(folder)
    if len(nested) > 1:
        listed = ", ".join(child.name for child in nested)
        raise DataError("SPLIT_PARTS", f"it has several splits, {listed}; name one of them.")
    paths = {path.name: path for path in sorted((nested[0] if nested else folder).iterdir())}
    stems = {name: unpacked_name(path).stem for name, path in paths.items() if _is_read(path)}
    for name in _used(paths, stems):
        path = paths[name]
        if has_columns(path):
            edges = _edges(path)
            pairs = np.empty((2, 0), np.int64) if edges is None else _numbered(edges, graph, path)
            if not pairs.size:
                _allow_empty(path)
            yield stems[name], pairs
        elif path.suffix.lower() == ".npy":
            yield path.stem, read_npy(path)
        else:
            for kind, pairs in ogb_pairs(read_integers(path), path).items():
                yield f"{path.stem}{kind}", pairs


def _is_read(path: Path) -> bool:
    """Return whether a path is a file in a format of a split; hidden ones are not read."""
    known = has_columns(path) or path.suffix.lower() in (".npy", ".pt")
    return known and path.is_file() and not path.name.startswith(".")


def _edges(path: Path) -> EdgeList | None:
    """Return the pairs of a file of a split; ``None`` if it is empty."""
    try:
        edges = _edge_list(path)
        if edges.weight is not None and (edges.weight <= 0).any():  # in parquet
            raise DataError("ZERO_WEIGHT", "")
    except DataError as error:
        if error.code in ("ZERO_WEIGHT", "NEGATIVE_WEIGHT", "LABELS"):
            raise DataError(
                "SPLIT_PARTS",
                f"{path}: it has a column with 0, perhaps labels, which are not read; keep"
                " the links here, two names a line, and move the non-links into a file *_neg.",
            ) from None
        if error.code != "NO_EDGES":
            raise
        return None
    return edges


def _allow_empty(path: Path) -> None:
    """Log that a file has no pairs, or raise ``DataError`` if they are links to train on."""
    if (_place(unpacked_name(path).stem) or "").startswith("train"):
        raise DataError("NO_EDGES", f"{path}: it has no edges; a training needs some.")
    log.info("%s is empty: no links or non-links", path)


def _edge_list(path: Path, reading: Reading = Reading()) -> EdgeList:
    """Return the pairs of an edge list in text or parquet."""
    with naming(path):
        if path.suffix.lower() == ".parquet" or reading != Reading():
            return read_edges(path, reading, announce=False)
        # The first line is a header if it names no nodes; see _numbered.
        try:
            return read_edge_list(path, Reading(header=False), announce=False)
        except DataError as error:
            if error.code not in ("BAD_WEIGHT", "COLUMNS", "FIELDS", "NODE_ID"):
                raise
        # Unless it is seen to be one by the names of its columns.
        return read_edge_list(path, announce=False)


def _numbered(edges: EdgeList, graph: Graph, path: Path) -> np.ndarray:
    """Return the pairs as numbers of nodes, int64, shape ``(2, P)``, in the order of the file."""
    number_of = {str(name): number for number, name in enumerate(graph.ids)}
    names = [str(name) for name in edges.names]
    if all(isinstance(name, int) for name in graph.ids):
        names = [_whole(name) for name in names]
    pairs = np.array([number_of.get(name, -1) for name in names], dtype=np.int64)[edges.edges]
    first = [names[end] for end in edges.edges[:, 0]]
    header = pairs.shape[1] > 1 or (pairs.shape[1] == 1 and is_usual_pair(first))
    if header and (pairs[:, 0] < 0).all() and not any(map(is_integer, first)):
        log.info("%s: its first line, %s, names no nodes: a header", path, " ".join(first)[:60])
        pairs = pairs[:, 1:]
    unknown = pairs < 0
    if unknown.any():
        ends = edges.edges[:, -pairs.shape[1] :]
        missing = dict.fromkeys(edges.names[end] for end in ends[unknown])
        listed = ", ".join(repr(name)[:60] for name in list(missing)[:3])
        raise DataError(
            "NODE_ID",
            f"{path}: {len(missing):,} names are no nodes of {graph.name}: {listed}"
            f"{' ...' * (len(missing) > 3)}; those are {', '.join(map(repr, graph.ids[:3]))} ...",
        )
    return pairs


def _whole(text: str) -> str:
    """Return a whole number such as ``127.0`` or ``1.27e+02`` as ``127``, another text unchanged.

    So ``np.savetxt`` writes integers.
    """
    if is_integer(text) or not is_number(text):
        return text
    value = float(text)
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else text

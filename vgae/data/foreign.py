"""Texts that are no tables: what they are, and how to make tables of them."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from vgae.errors import DataError
from vgae.runtime.reading import check_head

_BRACKETS = re.compile(r"[(\[][^()\[\]]*[)\]],?")
_DIMACS = re.compile(r"p\s+[a-z]+\s+\d+\s+\d+", re.ASCII)
_MOST_TITLES = 10
_GRAPHVIZ = re.compile(r"(strict\s+)?(di)?graph\b[^{]*\{", re.IGNORECASE)


def refuse_foreign(lines: Sequence[str], path: Path) -> None:
    """Raise if the first lines of a text are none of a table.

    Args:
        lines: The first lines.
        path: The file.

    Raises:
        DataError: ``NOT_THE_FILE``; ``FILE_FORMAT`` for Graphviz; ``FIELDS`` for lines in
            brackets, as Python or JSON writes lists and objects, and those of DIMACS, GDF, TGF and
            UCINET.
    """
    found = [line.strip() for line in lines if not line.isspace()]
    if not found:
        return
    name = shlex.quote(path.name)
    check_head("\n".join(found).encode(), path)
    if _GRAPHVIZ.match(found[0]):
        cure = f"vgae.Graph.from_networkx(networkx.nx_pydot.read_dot({path.name!r}))"
        raise DataError("FILE_FORMAT", f"{path}: it is a graph of Graphviz; {cure} reads it.")
    if format_and_cure := _with_sections(found, name):
        kind, cure = format_and_cure
        raise DataError(
            "FIELDS",
            f"{path}: its lines are those of {kind}; keep the links alone: {cure} > plain.txt,"
            " then read plain.txt.",
        )
    text = " ".join(found)
    if found[0][0] in "[{" and '"' in text and "{" in text and ":" in text:
        lines_of = ", lines=True" if found[0][0] == "{" else ""
        call = f"pandas.read_json({path.name!r}{lines_of}).to_csv('plain.csv', index=False)"
        cure = f"import pandas; {call}"
    elif all(map(_BRACKETS.fullmatch, found)):
        signs = '"()[]\'"' if any("'" in line for line in found) else "'()[]'"
        cure = f"tr -d {signs} < {name} > plain.txt"
    else:
        return
    raise DataError(
        "FIELDS",
        f"{path}: its lines are in brackets, such as {found[0]!r:.60}; remove these: {cure}.",
    )


def _with_sections(lines: Sequence[str], name: str) -> tuple[str, str] | None:
    """Return the format of lines with nodes or sizes beside the links, and a command for these."""
    first = lines[0].casefold()
    if first[0] in "cp" and any(map(_DIMACS.match, lines)):
        sign = "a" if any(line.startswith("a ") for line in lines) else "e"
        return "DIMACS", f"grep '^{sign} ' {name} | cut -d' ' -f2-"
    if first.startswith("nodedef>"):
        return "GDF", f"sed '1,/^edgedef>/d' {name}"
    if first.startswith("dl ") and "n=" in first.replace(" ", ""):
        return "UCINET", f"sed '1,/^[Dd][Aa][Tt][Aa]:/d' {name}"
    place = lines.index("#") if lines.count("#") == 1 else 0
    if place > 0 and not any(line.startswith("#") for line in lines[place - 1 : place + 2 : 2]):
        return "TGF, nodes and then links", f"sed '1,/^#$/d' {name}"
    return None


def refuse_title(records: Sequence[tuple[int, Sequence[str]]], separated: str, path: Path) -> None:
    """Raise ``FIELDS`` if the first records differ from all others in their number of fields.

    A record that has a name of later ones may be a list of neighbours.

    Args:
        records: Line and fields of each of the first records.
        separated: Name of the separator.
        path: The file.
    """
    widths = [len(fields) for _, fields in records]
    titles = next(k for k in range(len(widths)) if len({*widths[k:]}) == 1)
    later = {name for _, fields in records[titles:] for name in fields}
    if widths[-1] < 2 or not 0 < titles <= _MOST_TITLES or len(widths) - titles < 2:
        return
    if not later.isdisjoint(name for _, fields in records[:titles] for name in fields):
        return
    count = "1 field" if widths[0] == 1 else f"{widths[0]} fields"
    cure = f"tail -n +{records[titles][0]} {shlex.quote(path.name)} > plain.txt"
    what = "it is a title, remove it"
    if titles > 1:
        what = f"the first {titles} are titles, remove them"
    raise DataError(
        "FIELDS",
        f"{path}, line {records[0][0]}: it has {count} separated by {separated}, later lines have"
        f" {widths[-1]}; if {what}: {cure}, then read plain.txt.",
    )

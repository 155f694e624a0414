"""Texts that are no tables: what they are, and how to make tables of them."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from vgae.errors import DataError

_BRACKETS = re.compile(r"[(\[][^()\[\]]*[)\]],?")
_DIMACS = re.compile(r"p\s+[a-z]+\s+\d+\s+\d+", re.ASCII)
_WEB_PAGE = re.compile(r"<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_MOST_TITLES = 10
_POINTER = "version https://git-lfs.github.com/"


def refuse_foreign(lines: Sequence[str], path: Path) -> None:
    """Raise if the first lines of a text are none of a table.

    Args:
        lines: The first lines.
        path: The file.

    Raises:
        DataError: ``FILE_FORMAT`` for a pointer of Git LFS and for a web page; ``FIELDS`` for
            lines in brackets, as Python or JSON writes lists and objects, and for those of DIMACS.
    """
    found = [line.strip() for line in lines if not line.isspace()]
    if not found:
        return
    name = shlex.quote(path.name)
    if found[0].startswith(_POINTER):
        what = "it is a pointer of Git LFS, not the file itself"
        raise DataError("FILE_FORMAT", f"{path}: {what}; git lfs pull downloads the file.")
    if _WEB_PAGE.match(found[0]):
        what = "it is a web page, perhaps an error of a server"
        raise DataError("FILE_FORMAT", f"{path}: {what}; download the file itself.")
    if found[0][0] in "cp" and any(map(_DIMACS.match, found)):
        sign = "a" if any(line.startswith("a ") for line in found) else "e"
        cure = f"grep '^{sign} ' {name} | cut -d' ' -f2- > plain.txt"
        raise DataError(
            "FIELDS",
            f"{path}: its lines are those of DIMACS; keep the links alone: {cure}, then read"
            " plain.txt.",
        )
    if all(map(_BRACKETS.fullmatch, found)):
        signs = '"()[]\'"' if any("'" in line for line in found) else "'()[]'"
        cure = f"tr -d {signs} < {name} > plain.txt"
    elif all(line[0] == "{" and ":" in line and line[-1] in "}," for line in found):
        call = f"pandas.read_json({path.name!r}, lines=True).to_csv('plain.csv', index=False)"
        cure = f"import pandas; {call}"
    else:
        return
    raise DataError(
        "FIELDS",
        f"{path}: its lines are in brackets, such as {found[0]!r:.60}; remove these: {cure}.",
    )


def refuse_title(widths: Sequence[int], separated: str, path: Path, line: int) -> None:
    """Raise ``FIELDS`` if the first records differ from all others in their number of fields.

    Args:
        widths: Number of fields of each of the first records.
        separated: Name of the separator.
        path: The file.
        line: Line of the first record.
    """
    width = widths[-1] if widths else 0
    titles = next((k for k, _ in enumerate(widths) if set(widths[k:]) == {width}), 0)
    if width < 2 or not 0 < titles <= _MOST_TITLES or len(widths) - titles < 2:
        return
    count = "1 field" if widths[0] == 1 else f"{widths[0]} fields"
    cure = f"tail -n +{line + titles} {shlex.quote(path.name)} > plain.txt"
    what = (
        "it is a title, remove it"
        if titles == 1
        else f"the first {titles} are titles, remove them"
    )
    raise DataError(
        "FIELDS",
        f"{path}, line {line}: it has {count} separated by {separated}, later lines have {width};"
        f" if {what}: {cure}, then read plain.txt.",
    )

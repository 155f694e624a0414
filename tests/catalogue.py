"""Write CATALOGUE.md: each row of catalogue.toml with the tests that bear its id.

Run it as ``python tests/catalogue.py``. The tests are read, not imported: collecting them with
pytest takes longer than all that this needs to know. A test bears the id of a row in the marker
``row``, or at the start of a text in its decorators, such as the id ``"G11-csv"`` of a parameter,
or in a list or dictionary of the module that its decorators name.
"""

import ast
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent
PAGE = TESTS / "CATALOGUE.md"
GROUPS = {
    "G": "Graphs",
    "F": "Features and labels",
    "L": "Files",
    "C": "Checkpoints, models and runs",
    "R": "Resources, signals, surroundings",
}

_ID = re.compile(rf"([{''.join(GROUPS)}]\d\d)(?![\w.])")
_LISTS = (ast.List, ast.Tuple, ast.Dict)
_HEAD = """# What goes wrong, and what one gets

Written by `python tests/catalogue.py` from `catalogue.toml` and the tests; do not edit it.

Unless a row says otherwise, a refusal is one line on stderr, `error[CODE]: what, where, how to
mend it`, with the exit status of its kind (2 usage, 3 data, 4 a run or model, 5 resources, 6
numbers), without a traceback, and nothing is written. A name in capitals is the `CODE`.
"""


class Row(NamedTuple):
    """A row of the catalogue, and the tests that bear its id as ``file::name``."""

    id: str
    input: str
    answer: str
    not_applicable: str
    tests: tuple[str, ...]


def rows():
    """Return the rows in the order of the file."""
    found = tests_by_row()
    table = tomllib.loads((TESTS / "catalogue.toml").read_text(encoding="utf-8"))
    return [
        Row(
            id=name,
            input=entry["input"],
            answer=entry["answer"],
            not_applicable=entry.get("not_applicable", ""),
            tests=tuple(found.get(name, ())),
        )
        for name, entry in table.items()
    ]


def tests_by_row():
    """Return the tests that bear each id, in the order of files and lines."""
    found = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        lists = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, _LISTS)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for name in sorted(_ids(node.decorator_list, lists)):
                    test = f"{path.relative_to(TESTS).as_posix()}::{node.name}"
                    found.setdefault(name, []).append(test)
    return found


def _ids(decorators, lists):
    """Return the ids of rows at the start of texts in decorators and in lists that they name."""
    parts = [part for decorator in decorators for part in ast.walk(decorator)]
    named = [lists[part.id] for part in parts if isinstance(part, ast.Name) and part.id in lists]
    parts += [part for value in named for part in ast.walk(value)]
    texts = [part.value for part in parts if isinstance(part, ast.Constant)]
    matches = [_ID.match(text) for text in texts if isinstance(text, str)]
    return {match[1] for match in matches if match}


def page(all_rows):
    """Return the page."""
    parts = [_HEAD]
    for letter, title in GROUPS.items():
        parts.append(f"## {title}\n\n| | given | one gets | tests |\n|---|---|---|---|")
        for row in all_rows:
            if row.id.startswith(letter):
                tests = "<br>".join(f"`{test}`" for test in row.tests)
                shown = [tests] if tests else []
                shown += [f"none: {row.not_applicable}"] if row.not_applicable else []
                given = row.input.replace("|", "\\|")
                cells = [row.id, given, row.answer, "<br>".join(shown)]
                parts.append(f"| {' | '.join(cells)} |")
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(rows()), encoding="utf-8")

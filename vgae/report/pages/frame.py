"""The frame of the pages: one file of HTML that needs nothing from anywhere.

A page is a template that extends ``base.html.j2``, its charts, and the data that its scripts draw
from. What is particular to one kind of run is in a module and a template of its own.

Names come from strangers. In the markup jinja2 escapes them; in the data they are JSON that no
parser of HTML can take for markup; scripts put them in with ``textContent``. The policy in the
head of the page runs no script but those whose hashes it lists, and fetches nothing.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vgae.errors import printable
from vgae.runtime.atomic import replacing
from vgae.runtime.tables import optional_module

# Within a script these could end it or begin a comment; U+2028 and U+2029 end lines of JavaScript.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
_LONGEST = 80  # letters of a name


class Series(NamedTuple):
    """One line, or one set of dots or bars, of a chart.

    Attributes:
        name: What the legend calls it; empty leaves it out.
        x: Places.
        y: Values.
        kind: ``"line"``, ``"step"``, ``"dots"``, ``"line+dots"`` or ``"bars"``.
        colour: ``"accent"``, ``"second"``, ``"third"``, ``"muted"``, or what a style sheet of the
            page calls one more.
        dash: Whether the line is dashed.
        text: What else is said of each value when it is pointed at.
        low: Lower ends of error bars, as many as values, or none.
        high: Upper ends likewise.
    """

    name: str
    x: Sequence[float | str]
    y: Sequence[float | None]
    kind: str = "line"
    colour: str = "accent"
    dash: bool = False
    text: Sequence[str] = ()
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Chart:
    """A chart, in words and numbers; ``page.js`` draws it.

    Attributes:
        title: Above it.
        summary: What it shows, in one or two sentences, for those who cannot see it as well.
        series: What is drawn.
        x_title: Below the axis.
        y_title: Above the axis.
        x_range: Ends of the axis; ``None`` fits it to the values.
        y_range: Likewise.
        log_y: Whether the axis is logarithmic.
        marks: Vertical lines, each a place and its label.
    """

    title: str
    summary: str
    series: Sequence[Series]
    x_title: str = ""
    y_title: str = ""
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    log_y: bool = False
    marks: Sequence[tuple[float, str]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "series": [series._asdict() for series in self.series]}


class Column(NamedTuple):
    """The head of a column of a table.

    Attributes:
        title: What it says.
        is_number: Whether its cells are numbers, set to the right.
        help: What the title means, if it is not plain.
    """

    title: str
    is_number: bool = False
    help: str = ""


def numeric(title: str, explained: str = "") -> Column:
    """Return the head of a column of numbers."""
    return Column(title, is_number=True, help=explained)


@dataclass(frozen=True)
class Table:
    """A table, which can be sorted by each column and filtered where JavaScript runs.

    Attributes:
        caption: What it is of.
        columns: Heads.
        rows: Cells, each a text, or a pair of text and the number that it is sorted by.
        sortable: Whether the heads are buttons, and a box filters the rows.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str | tuple[str, float]]]
    sortable: bool = False


def render(
    template: str,
    content: Mapping[str, Any],
    *,
    charts: Mapping[str, Chart],
    data: Mapping[str, Any],
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
) -> str:
    """Make a page.

    Args:
        template: Name of a file in ``templates/`` that extends ``base.html.j2``.
        content: What it fills in.
        charts: By the id that the template gives them.
        data: What the scripts of the page draw from besides, plain values and :func:`packed`.
        scripts: Files in ``templates/`` to run after ``page.js``.
        styles: Files in ``templates/`` to read after ``page.css``.

    Raises:
        UsageError: If plotly is not installed.
    """
    sources = [plotly_js(), *(_text(name) for name in ("page.js", *scripts))]
    inline = [_script(source) for source in sources]
    embedded = {"charts": {name: chart.to_dict() for name, chart in charts.items()}, **data}
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            charts=charts,
            data=json_markup(embedded),
            policy=_policy(inline),
            scripts=[Markup(source) for source in inline],
            style=Markup("".join(_text(name) for name in ("page.css", *styles))),
        )
    )


def write_page(path: Path, html: str) -> int:
    """Write a page, whole or not at all, and return its bytes."""
    content = html.encode()
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return len(content)


def plotly_js() -> str:
    """Return the library that draws the charts.

    Raises:
        UsageError: If plotly is not installed.
    """
    return optional_module("plotly.offline", "report").get_plotlyjs()


def json_markup(data: Any) -> Markup:
    """Return data as JSON that may stand in a ``<script>``: nothing in it ends or begins a tag."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))


def packed(array: np.ndarray) -> dict[str, str]:
    """Return an array of float32 or int32 as base64, which ``page.js`` unpacks into a typed one.

    Raises:
        ValueError: If it is of another type.
    """
    kinds = {"f": "f4", "i": "i4"}
    if array.dtype.itemsize != 4 or array.dtype.kind not in kinds:
        raise ValueError(f"arrays must be float32 or int32, got {array.dtype}")
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return {
        "type": kinds[array.dtype.kind],
        "base64": base64.b64encode(little.tobytes()).decode(),
    }


def shown(name: object) -> str:
    """Return a name as pages show it: not too long, and what cannot be seen is escaped."""
    text = printable(str(name)[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def image_uri(content: bytes) -> str:
    """Return a PNG as the address of itself."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def rounded(values: np.ndarray | Sequence[float]) -> list[float]:
    """Return values with six digits, which is more than can be seen."""
    return [float(f"{value:.6g}") for value in np.asarray(values, dtype=float).tolist()]


def thinned(count: int, most: int = 400) -> np.ndarray:
    """Return which points of a curve to draw: at most so many, both ends among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("vgae.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text(name: str) -> str:
    return (files("vgae.report") / "templates" / name).read_text(encoding="utf-8")


def _script(source: str) -> str:
    """Return a script as it stands in the page: its hash is of these very letters."""
    return source.replace("\r\n", "\n").replace("</script", "<\\/script")


def _policy(scripts: Sequence[str]) -> str:
    """Return what the browser is to allow: these scripts, styles and images of the page itself."""
    digests = (hashlib.sha256(source.encode()).digest() for source in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none';"
        f" form-action 'none'; script-src {hashes}"
    )

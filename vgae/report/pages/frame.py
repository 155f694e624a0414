"""Charts, tables and rendering of self-contained HTML pages.

A page is a template that extends ``base.html.j2``, its charts, and the data of its scripts. Each
kind of run has a module and a template of its own.

Names are untrusted. Jinja2 escapes them in the markup; in the data they are JSON that no HTML
parser takes for markup; scripts insert them with ``textContent``. The content security policy
allows only the scripts whose hashes it lists, and no requests.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vgae.errors import printable
from vgae.report.figures.style import cut
from vgae.runtime.atomic import replacing
from vgae.runtime.tables import optional_module

# These could end a script or begin a comment in it; U+2028 and U+2029 end lines of JavaScript.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
_LONGEST = 80  # characters of a name
PERCENT = (-2.0, 102.0)  # an axis from 0 to 100 % with margins


class Series(NamedTuple):
    """One line, or one set of dots or bars, of a chart."""

    name: str  # in the legend; an empty one is left out
    x: Sequence[float | str]
    y: Sequence[float | None]
    kind: str = "line"  # or "step", "dots", "line+dots", "bars"
    colour: str = "accent"  # or "second", "third", "muted", or one that a style sheet defines
    dash: bool = False
    text: Sequence[str] = ()  # tooltips of the values
    low: Sequence[float] = ()  # ends of error bars, one per value, or none
    high: Sequence[float] = ()


def line(name: str, x: Sequence[float], y: Sequence[float | None], *look: Any) -> Series:
    """Return a line in a given look: colour and dashes. Dots make a short one visible."""
    return Series(name, x, y, "line" if len(x) > 9 else "line+dots", *look)


@dataclass(frozen=True)
class Chart:
    """A chart, drawn by ``page.js``."""

    title: str
    summary: str  # one or two sentences, also for screen readers
    series: Sequence[Series]
    x_title: str = ""
    y_title: str = ""
    x_range: tuple[float, float] | None = None  # fitted to the values by default
    y_range: tuple[float, float] | None = None
    log_y: bool = False
    marks: Sequence[tuple[float, str]] = ()  # position and label of vertical lines

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "series": [series._asdict() for series in self.series]}


def training_chart(
    title: str, summary: str, series: Sequence[Series], y_title: str, kept: int, **options: Any
) -> Chart:
    """Return a chart over the epochs; the kept one, unless it is 0, is marked."""
    marks = ((kept, f"kept: epoch {kept}"),) if kept else ()
    return Chart(title, summary, series, "epoch", y_title, marks=marks, **options)


class Column(NamedTuple):
    """Header of a table column: title, alignment to the right, explanation of the title."""

    title: str
    is_number: bool = False
    help: str = ""


def numeric(title: str, explained: str = "") -> Column:
    """Return the header of a column of numbers."""
    return Column(title, is_number=True, help=explained)


Cell: TypeAlias = str | tuple[str, float]  # text, or text and the number that it is sorted by


@dataclass(frozen=True)
class Table:
    """A table, and whether scripts let a reader sort and filter its rows."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
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
    """Return a page as HTML; raise ``UsageError`` if plotly is not installed.

    Args:
        template: File in ``templates/`` that extends ``base.html.j2``.
        content: Variables of the template.
        charts: Charts by their element id.
        data: Further data of the scripts: plain values and :func:`packed` arrays.
        scripts: Files in ``templates/`` that run after ``page.js``.
        styles: Files in ``templates/`` that follow ``page.css``.
    """
    sources = [plotly_js(), *map(_text, ("page.js", *scripts))]
    inline = [_script(source) for source in sources]
    embedded = {"charts": {name: chart.to_dict() for name, chart in charts.items()}, **data}
    rest = {
        "charts": charts,
        "data": json_markup(embedded),
        "policy": _policy(inline),
        "scripts": [*map(Markup, inline)],
        "style": Markup("".join(map(_text, ("page.css", *styles)))),
    }
    return _environment().get_template(template).render(**content, **rest)


def write_page(path: Path, html: str) -> int:
    """Write a page, whole or not at all, and return its size in bytes."""
    content = html.encode()
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return len(content)


def plotly_js() -> str:
    """Return the JavaScript of plotly; raise ``UsageError`` if it is not installed."""
    return optional_module("plotly.offline", "report").get_plotlyjs()


def json_markup(data: Any) -> Markup:
    """Return data as JSON for a ``<script>``: nothing in it begins or ends a tag."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))


def packed(array: np.ndarray) -> dict[str, str]:
    """Return a float32 or int32 array as base64, which ``page.js`` unpacks."""
    kinds = {"f": "f4", "i": "i4"}
    if array.dtype.itemsize != 4 or array.dtype.kind not in kinds:
        raise ValueError(f"arrays must be float32 or int32, got {array.dtype}")
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return {"type": kinds[array.dtype.kind], "base64": base64.b64encode(little.tobytes()).decode()}


def unpacked(data: Mapping[str, str]) -> np.ndarray:
    """Return the array of :func:`packed`."""
    return np.frombuffer(base64.b64decode(data["base64"]), f"<{data['type']}")


def shown(name: object) -> str:
    """Return a name as pages show it: cut to 80 characters, invisible ones escaped."""
    return cut(printable(str(name)[: _LONGEST + 1]), _LONGEST)


def minus(text: str) -> str:
    """Return a number as text with a true minus sign."""
    return text.replace("-", "\N{MINUS SIGN}")


def image_uri(content: bytes) -> str:
    """Return a PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def rounded(values: np.ndarray | Sequence[float]) -> list[float]:
    """Return values with six significant digits."""
    return [float(f"{value:.6g}") for value in np.asarray(values, dtype=float).tolist()]


def thinned(count: int, most: int = 400) -> np.ndarray:
    """Return the indices of the points of a curve to draw: at most ``most``, with both ends."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


@cache
def _environment() -> Environment:
    loader = PackageLoader("vgae.report")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    made.trim_blocks = made.lstrip_blocks = True
    made.globals |= {"Table": Table, "Column": Column, "numeric": numeric}
    return made


def _text(name: str) -> str:
    return (files("vgae.report") / "templates" / name).read_text(encoding="utf-8")


def _script(source: str) -> str:
    """Return a script as the page contains it, which is the text that is hashed."""
    return source.replace("\r\n", "\n").replace("</script", "<\\/script")


def _policy(scripts: Sequence[str]) -> str:
    """Return the content security policy: these scripts, inline styles and embedded images."""
    digests = (hashlib.sha256(source.encode()).digest() for source in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none';"
        f" form-action 'none'; script-src {hashes}"
    )

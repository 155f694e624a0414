"""Page that compares runs."""

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from matplotlib.figure import Figure

from vgae.errors import UsageError
from vgae.report.figures.style import CLASS_COLOURS, titled
from vgae.report.pages.compared_images import compared_images
from vgae.report.pages.compared_links import compared_links
from vgae.report.pages.compared_runs import Compared, colour_of, differing, is_dashed, listed
from vgae.report.pages.frame import Chart, Column, Table, image_uri, render, shown
from vgae.report.pages.graphs import settings as link_settings
from vgae.report.pages.images import settings as image_settings
from vgae.runs.folder import is_image_run, understood
from vgae.runs.graphs import load_run
from vgae.runs.images import load_image_run


class _Kind(NamedTuple):
    """Functions that load, describe and compare the runs of one kind."""

    load: Callable[[Path], Any]
    settings: Callable[[Any], list[tuple[str, str]]]
    compare: Callable[[Sequence[Any], Sequence[str]], Compared]


_IMAGES = _Kind(load_image_run, image_settings, compared_images)
_LINKS = _Kind(load_run, link_settings, compared_links)
_MOST_COLUMNS = 3  # settings that fit beside the scores


def comparison_page(folders: Sequence[Path], path: Path) -> str:
    """Return the page that compares runs as self-contained HTML.

    Args:
        folders: Folders of two or more finished runs, all on graphs or all on images.
            Differences are to the first.
        path: Path of the page, for links to the pages of the runs.

    Raises:
        ArtifactError: If a file of a run is damaged, or its data have changed since.
        UsageError: If a run is given twice, if runs are of both kinds, or if plotly is not
            installed.
    """
    check_folders(folders)
    names = names_of(folders)
    kind = _IMAGES if is_image_run(folders[0]) else _LINKS
    runs, settings = [], []
    for folder in folders:
        with understood(folder):
            runs.append(kind.load(folder))
            settings.append(dict(kind.settings(runs[-1])))
    with understood(Path(os.path.commonpath([folder.resolve() for folder in folders]))):
        found = kind.compare(runs, names)
    different = differing(settings)
    content = {
        "title": f"{len(folders)} runs compared · vgae",
        "sections": _SECTIONS if found.pictures else [s for s in _SECTIONS if s[0] != "pictures"],
        "found": found,
        "runs": [
            {
                "name": name,
                "colour": colour_of(i),
                "dash": is_dashed(i),
                "page": _page_of(run, path),
            }
            for i, (run, name) in enumerate(zip(folders, names, strict=True))
        ],
        "differing": settings_table(different, names) if len(different) > _MOST_COLUMNS else None,
        "few": listed([*different]) if different else "",
        "scores": scores_table(found.scores, different),
        "still": still(found.charts),
    }
    return render(
        "compare.html.j2",
        content,
        charts=found.charts,
        data={"runs": names},
        scripts=["compare.js"],
        styles=["image.css", "compare.css"],
    )


_SECTIONS = [
    ("summary", "Summary"),
    ("settings", "Settings"),
    ("scores", "Scores"),
    ("curves", "Curves"),
    ("pictures", "Images"),
]


def check_folders(folders: Sequence[Path]) -> None:
    """Raise ``UsageError`` unless the folders differ and have runs of one kind."""
    seen: dict[Path, Path] = {}
    for folder in folders:
        if folder.resolve() in seen:
            raise UsageError("REPORT_TWICE", f"{folder} is given twice; give each run once.")
        seen[folder.resolve()] = folder
    kinds = [is_image_run(folder) for folder in folders]
    for (one, kind), (other, other_kind) in pairwise(zip(folders, kinds, strict=True)):
        if kind != other_kind:
            images, links = (one, other) if kind else (other, one)
            raise UsageError(
                "REPORT_KINDS",
                f"{images} is a run on images and {links} one on a graph; compare runs of one"
                " kind.",
            )


def names_of(folders: Sequence[Path]) -> list[str]:
    """Return a short name for each folder: the end of its path, as long as needed to differ."""
    parts = [folder.resolve().parts for folder in folders]
    length = 1
    while len({part[-length:] for part in parts}) < len(parts):
        length += 1
    return [shown("/".join(part[-length:])) for part in parts]


def _page_of(folder: Path, path: Path) -> str | None:
    """Return the address of the page of a run, relative to another page, if it exists."""
    own = folder.resolve() / "report.html"
    if not own.is_file():
        return None
    relative = os.path.relpath(own, path.resolve().parent)
    # Without quotes, the part before a colon would be a scheme.
    return quote(Path(relative).as_posix())


def settings_table(different: Mapping[str, Sequence[str]], names: Sequence[str]) -> Table:
    """Return the settings that differ: one row per setting, one column per run."""
    rows = [[field, *values] for field, values in different.items()]
    columns = [Column("setting"), *(Column(name) for name in names)]
    return Table("Settings that differ between the runs", columns, rows)


def scores_table(scores: Table, different: Mapping[str, Sequence[str]]) -> Table:
    """Return the scores, with a column after the name for each setting that differs, if few."""
    if not 0 < len(different) <= _MOST_COLUMNS:
        return scores
    rows = [
        [row[0], *(values[i] for values in different.values()), *row[1:]]
        for i, row in enumerate(scores.rows)
    ]
    columns = [scores.columns[0], *map(Column, different), *scores.columns[1:]]
    return replace(scores, columns=columns, rows=rows)


def still(charts: Mapping[str, Chart]) -> str | None:
    """Return the charts as one image, for browsers without JavaScript."""
    if not charts:
        return None
    figure = Figure(figsize=(4.2 * len(charts), 3.8), layout="constrained")
    for axes, chart in zip(
        figure.subplots(1, len(charts), squeeze=False)[0], charts.values(), strict=True
    ):
        for i, series in enumerate(chart.series):
            style = ":" if series.dash else "-"
            colour = CLASS_COLOURS[i % len(CLASS_COLOURS)] if series.name else "grey"
            x, y = list(series.x), [float("nan") if v is None else v for v in series.y]
            axes.plot(x, y, style, color=colour, label=series.name or "_", linewidth=1.5)
        axes.set_xlabel(chart.x_title, fontsize=8)
        titled(axes, chart.title)
    legend = figure.axes[0].legend(frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)
    file = io.BytesIO()
    figure.savefig(file, dpi=110)
    return image_uri(file.getvalue())

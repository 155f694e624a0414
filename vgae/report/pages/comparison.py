"""Page that compares runs."""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from urllib.parse import quote

from matplotlib.figure import Figure

from vgae.errors import UsageError
from vgae.report.figures.fonts import use_fonts
from vgae.report.figures.style import CLASS_COLOURS, titled
from vgae.report.pages.compared_runs import colour_of, differing, is_dashed, listed
from vgae.report.pages.frame import Chart, Column, Table, image_uri, render, shown
from vgae.report.view import view_of
from vgae.runs.folder import understood
from vgae.runs.kind import kind_of
from vgae.runs.lifecycle import load_run

_MOST_COLUMNS = 3  # settings that fit beside the scores


def comparison_page(folders: Sequence[Path], path: Path) -> str:
    """Return the page that compares runs as self-contained HTML.

    Args:
        folders: Of finished runs, two or more, all of one kind. Differences are to the first.
        path: Where the page is going to be, for links to the runs' own pages.

    Raises:
        ArtifactError: If a file of a run is damaged, or its data are others now.
        UsageError: If a run is given twice, if runs are of several kinds, or if plotly is not
            installed.
    """
    check_folders(folders)
    names = names_of(folders)
    view = view_of(folders[0])
    runs, settings = [], []
    for folder in folders:
        with understood(folder):
            runs.append(load_run(folder))
            settings.append(dict(view.settings(runs[-1])))
    with understood(Path(os.path.commonpath([folder.resolve() for folder in folders]))):
        found = view.compare(runs, names)
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
    ("scores", "Scores"),
    ("curves", "Curves"),
    ("pictures", "Images"),
    ("settings", "Settings"),
]


def check_folders(folders: Sequence[Path]) -> None:
    """Raise ``UsageError`` unless the folders differ and have runs of one kind."""
    seen: dict[Path, Path] = {}
    for folder in folders:
        if folder.resolve() in seen:
            raise UsageError("REPORT_TWICE", f"{folder} is given twice; give each run once.")
        seen[folder.resolve()] = folder
    for pair in pairwise((folder, kind_of(folder).title) for folder in folders):
        (one, title), (other, other_title) = sorted(pair, key=itemgetter(1), reverse=True)
        if title != other_title:
            raise UsageError(
                "REPORT_KINDS",
                f"{one} is a run on {title} and {other} one on {other_title}; compare runs of one"
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
    use_fonts(figure).savefig(file, dpi=110)
    return image_uri(file.getvalue())

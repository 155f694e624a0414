import re
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from matplotlib.text import Text

from vgae.errors import ResourceError, UsageError
from vgae.recipes import PAPER
from vgae.recipes.images import SMALL2D
from vgae.report.figures.paper import check_kind, figure_kinds, paper_figure
from vgae.report.views import GRAPHS, IMAGES
from vgae.runs.graphs import train_run
from vgae.runs.images import train_image_run

GRAPH_KINDS = ["curves", "embedding", "roc", "pr", "reliability", "histogram"]
IMAGE_KINDS = ["curves", "embedding", "reconstructions", "manifold"]


@pytest.fixture(scope="module")
def run(sbm_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    recipe = replace(PAPER, epochs=20)
    return train_run(str(sbm_file), folder, recipe=recipe, progress=False)


@pytest.fixture(scope="module")
def image_run(tmp_path_factory):
    source = tmp_path_factory.mktemp("images") / "grey.npy"
    np.save(source, np.random.default_rng(0).random((200, 8, 8), dtype=np.float32))
    recipe = replace(SMALL2D, epochs=2)
    folder = source.parent / "run"
    return train_image_run(str(source), folder, recipe=recipe, num_samples=2, progress=False)


@pytest.fixture
def of_kind(request, run, image_run):
    where, kind = request.param
    return kind, run if where == "graph" else image_run


# The images of an array have no labels.
ALL = [("graph", kind) for kind in GRAPH_KINDS] + [("images", kind) for kind in IMAGE_KINDS]


def legend_of(figure):
    (made,) = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    return [text.get_text() for text in made.get_texts()]


def media_box(path):
    numbers = re.search(rb"/MediaBox \[ ([\d. ]+) \]", path.read_bytes()).group(1)
    return [float(number) / 72 for number in numbers.split()[2:]]


@pytest.mark.parametrize("title", [None, "A $title$"])
@pytest.mark.parametrize("of_kind", ALL, indirect=True, ids=str)
def test_nothing_that_is_written_is_cut_off_or_covers_other_text(of_kind, title, tmp_path):
    kind, run = of_kind
    drawn = paper_figure(kind, run, title=title)
    figure = drawn.figure
    drawn.save(tmp_path / "x.png", dpi=100)
    with_axes = [axes for axes in figure.axes if axes.axison]
    ticks = [t for axes in with_axes for a in (axes.xaxis, axes.yaxis) for t in _tick_texts(a)]
    names = [t for axes in with_axes for t in (axes.xaxis.label, axes.yaxis.label)]
    legend = [t for made in figure.legends for t in made.get_texts()]
    titles = [figure._suptitle] if title else []
    boxes = [t.get_window_extent() for t in (*ticks, *names, *legend, *titles) if t.get_text()]
    assert boxes or kind == "embedding"
    for k, box in enumerate(boxes):
        assert box.x0 >= -0.5
        assert box.y0 >= -0.5
        assert box.x1 <= figure.bbox.width + 0.5
        assert box.y1 <= figure.bbox.height + 0.5
        assert not any(box.overlaps(other) for other in boxes[:k])
    for axes in figure.axes if titles else []:
        assert titles[0].get_window_extent().y0 >= axes.get_window_extent().y1


def _tick_texts(axis):
    low, high = sorted(axis.get_view_interval())
    return [
        t.label1
        for t in axis.get_major_ticks()
        if low <= t.get_loc() <= high and t.label1.get_visible()
    ]


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
@pytest.mark.parametrize(
    "of_kind",
    [ALL[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in (*ALL[3::3], ALL[-2]))],
    indirect=True,
    ids=str,
)
def test_a_figure_has_its_width_and_the_same_bytes_each_time(of_kind, suffix, tmp_path):
    kind, run = of_kind
    first, again = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    for path in (first, again):
        drawn = paper_figure(kind, run, width=3.3)
        drawn.save(path, dpi=200)
    assert first.read_bytes() == again.read_bytes()
    width, height = drawn.figure.get_size_inches()
    assert width == pytest.approx(3.3)
    if suffix == ".pdf":
        assert media_box(first) == pytest.approx([width, height], abs=0.01)
        assert b"CreationDate" not in first.read_bytes()
    elif suffix == ".png":
        assert imread(first).shape[1] == 660
    else:
        assert f'width="{3.3 * 72:.1f}' in first.read_text()[:2000]
        assert "<dc:date>" not in first.read_text()


def test_the_letters_of_a_pdf_are_embedded_as_truetype_of_eight_points(run, tmp_path):
    drawn = paper_figure("roc", run)
    drawn.save(tmp_path / "x.pdf")
    content = (tmp_path / "x.pdf").read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    sizes = {t.get_fontsize() for t in drawn.figure.findobj(Text) if t.get_text()}
    assert sizes == {8}


def test_a_curve_is_that_of_the_test_pairs_and_the_legend_has_its_score(run):
    for kind, name in (("roc", "auc"), ("pr", "ap")):
        drawn = paper_figure(kind, run)
        (axes,) = drawn.figure.axes
        assert axes.get_xlim() == axes.get_ylim() == (-0.02, 1.02)
        score = f"{name.upper()} {100 * run.metrics['test'][name]:.2f} %"
        assert legend_of(drawn.figure) == [score]
        assert score in drawn.caption
    x, y = paper_figure("roc", run).figure.axes[0].lines[0].get_xydata().T
    assert np.trapezoid(y, x) == pytest.approx(run.metrics["test"]["auc"])


def test_several_runs_have_a_curve_each_that_differs_in_colour_and_dashes(run):
    drawn = paper_figure(
        "pr", *[run] * 6, labels=["a", "b", "a", "$\\frac$", "x\x1b[2J", "z" * 99]
    )
    assert [text.split(": AP")[0] for text in legend_of(drawn.figure)] == [
        "a (1)",
        "b",
        "a (2)",
        "$\\frac$",
        r"x\x1b[2J",
        "z" * 27 + "…",
    ]
    (axes,) = drawn.figure.axes
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert len(looks) == 6


def test_runs_with_different_test_links_give_a_warning(run, sbm_file, tmp_path, caplog):
    recipe = replace(PAPER, epochs=1)
    other = train_run(str(sbm_file), tmp_path / "o", recipe=recipe, seed=1, progress=False)
    drawn = paper_figure("roc", run, other)
    assert "different test links" in caplog.text
    assert [text.split(":")[0] for text in legend_of(drawn.figure)] == ["first", "o"]


def test_every_node_is_a_point_and_every_class_is_named(run):
    figure = paper_figure("embedding", run).figure
    assert sum(len(dots.get_offsets()) for dots in figure.axes[0].collections) == 120
    assert sorted(legend_of(figure)) == [f"community {k}" for k in range(4)]
    assert not any(dots.get_rasterized() for dots in figure.axes[0].collections)


def _with_labels(run, y, names):
    other = replace(run)
    vars(other)["graph"] = replace(run.graph, y=y, label_names=names)
    return other


def test_names_of_classes_are_shown_as_they_are_and_cut(run, tmp_path, caplog):
    names = ("$\\frac$", "b\x1b[2J", "n" * 90, "\U00013000")  # a hieroglyph
    drawn = paper_figure("embedding", _with_labels(run, run.graph.y, names))
    drawn.save(tmp_path / "x.pdf")
    assert {"$\\frac$", r"b\x1b[2J"} < set(legend_of(drawn.figure))
    if "?" in legend_of(drawn.figure):  # no installed font has it
        assert "1 characters of names, such as \U00013000 (U+13000), are in no" in caplog.text


def test_nodes_are_coloured_by_a_column(run):
    names = tuple(f"word {k}" for k in range(40))
    other = replace(run)
    vars(other)["graph"] = replace(run.graph, feature_names=names)
    drawn = paper_figure("embedding", other, color="word 3")
    assert legend_of(drawn.figure) == ["0", "1"]
    assert drawn.caption.endswith("t-SNE, coloured by word 3")
    bar = paper_figure("embedding", other, color="degree").figure.axes[1]
    assert bar.get_ylabel() == "degree"
    with pytest.raises(UsageError, match=r"no column 'wrod 3' .* Did you mean 'word 3'\?"):
        paper_figure("embedding", other, color="wrod 3")
    with pytest.raises(UsageError, match=r"color \(--color\) is for the figure 'embedding'"):
        paper_figure("roc", other, color="degree")


def test_of_very_many_classes_some_are_named_and_the_rest_counted(run, tmp_path):
    drawn = paper_figure("embedding", _with_labels(run, torch.arange(120), None))
    drawn.save(tmp_path / "x.png", dpi=50)
    assert len(legend_of(drawn.figure)) == 24
    assert legend_of(drawn.figure)[-1] == "and 97 more"


def test_without_labels_nodes_have_the_colour_of_their_degree(run):
    figure = paper_figure("embedding", _with_labels(run, None, None)).figure
    assert "degree" in figure.axes[1].get_ylabel()


def test_the_histogram_counts_every_test_pair_once(run):
    (axes,) = paper_figure("histogram", run).figure.axes
    num = run.split.test.pos.shape[1]
    assert sum(bar.get_height() for bar in axes.patches if hasattr(bar, "get_height")) == 2 * num
    assert axes.get_legend().get_texts()[1].get_text() == f"{num} links"


def test_the_user_keeps_their_settings_and_they_change_no_figure(run, tmp_path):
    paper_figure("curves", run).save(tmp_path / "a.pdf")
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9, "axes.grid": True}):
        before = dict(matplotlib.rcParams)
        paper_figure("curves", run).save(tmp_path / "b.pdf")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_the_kinds_of_a_run_are_those_that_it_has_data_for(run, image_run):
    assert GRAPHS.drawable(run) == GRAPH_KINDS
    assert IMAGES.drawable(image_run) == IMAGE_KINDS
    assert set(figure_kinds()) == {*GRAPH_KINDS, *IMAGE_KINDS, "clusters"}
    untested = run.split.test._replace(pos=run.split.test.pos[:, :0])
    bare = replace(run, split=replace(run.split, test=untested), history=[])
    assert GRAPHS.drawable(bare) == ["embedding"]


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("rok", {}, "no figure 'rok'; there are roc, pr"),
        ("manifold", {}, "a graph and has nothing for 'manifold'; it has curves, embedding, roc"),
        ("clusters", {}, "histogram; 'vgae clusters .*' finds clusters"),
        ("roc", {"width": 0.5}, "from 1.5 to 20 inches, got 0.5"),
        ("roc", {"width": float("nan")}, "from 1.5 to 20"),
        ("roc", {"labels": ["a", "b"]}, "a label for each run, got 2"),
    ],
)
def test_what_makes_no_sense_is_refused(run, kind, options, words):
    with pytest.raises(UsageError, match=words):
        paper_figure(kind, run, **options)


def test_kinds_that_take_one_run_or_another_kind_of_run_say_so(run, image_run):
    with pytest.raises(UsageError, match="of one run, not of 2; of several are roc, pr"):
        check_kind("curves", [run, run])
    with pytest.raises(UsageError, match="run on images and has nothing for 'roc'"):
        check_kind("roc", [run, image_run])
    with pytest.raises(UsageError, match="none is given"):
        paper_figure("roc")


def test_a_wrong_suffix_and_an_unwritable_path_are_errors(run, tmp_path):
    drawn = paper_figure("histogram", run)
    with pytest.raises(UsageError, match=r"must end in \.pdf or \.png or \.svg"):
        drawn.save(tmp_path / "x.jpg")
    with pytest.raises(ResourceError, match="cannot be written"):
        drawn.save("/dev/null/x.png", dpi=50)
    assert list(tmp_path.iterdir()) == []

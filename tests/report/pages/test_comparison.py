import json
import re
import shutil

import pytest

from vgae.errors import ArtifactError, UsageError
from vgae.report.pages import frame as page
from vgae.report.pages.comparison import (
    check_folders,
    comparison_page,
    names_of,
    scores_table,
    settings_table,
    still,
)
from vgae.report.pages.frame import Chart, Column, Series, Table


@pytest.fixture(autouse=True)
def short_plotly(monkeypatch):
    """Pages without the library, which would be most of them."""
    monkeypatch.setattr(page, "plotly_js", lambda: "0")


@pytest.fixture
def folders(graph_run, tmp_path, resign):
    """The same run in two folders, of which one has a page of its own and another seed."""
    found = [tmp_path / "first", tmp_path / "second:<b>"]
    for folder in found:
        shutil.copytree(graph_run.folder, folder)
    (found[1] / "report.html").write_text("a page")
    config = json.loads((found[1] / "config.json").read_text())
    config["threads"] = 99
    (found[1] / "config.json").write_text(json.dumps(config))
    resign(found[1])
    return found


def text_of(html):
    return re.sub(r"\s+", " ", html)


def test_the_page_has_the_runs_and_their_different_settings(folders, tmp_path):
    html = comparison_page(folders, tmp_path / "compare.html")
    assert html == comparison_page(folders, tmp_path / "compare.html")
    assert "<bdi>first</bdi>" in html
    assert "<bdi>second:&lt;b&gt;</bdi>" in html
    assert "second:<b>" not in html
    assert "The runs differ only in threads; the table of scores has its values." in html
    assert '<td class="number">99</td>' in html or "<td>99</td>" in html
    assert "the difference is not significant" in text_of(html)
    assert "Warning." not in html


def test_a_run_with_a_page_of_its_own_is_linked_wherever_the_page_is(folders, tmp_path):
    html = comparison_page(folders, tmp_path / "compare.html")
    assert 'href="second%3A%3Cb%3E/report.html"' in html
    assert html.count("page of the run</a>") == 1
    html = comparison_page(folders, tmp_path / "a" / "b" / "compare.html")
    assert 'href="../../second%3A%3Cb%3E/report.html"' in html


def test_images_are_compared_as_well(image_run, tmp_path):
    shutil.copytree(image_run.folder, tmp_path / "copy")
    html = comparison_page([image_run.folder, tmp_path / "copy"], tmp_path / "compare.html")
    assert "2 runs on the images digits" in html
    assert 'id="pictures"' in html
    assert "All runs have the same settings." in html


def test_a_run_given_twice_is_refused(graph_run):
    folder = graph_run.folder
    with pytest.raises(UsageError, match="given twice"):
        check_folders([folder, folder / ".." / folder.name])


@pytest.mark.parametrize("turned", [False, True])
def test_runs_of_two_kinds_are_refused(graph_run, image_run, turned):
    folders = [graph_run.folder, image_run.folder]
    expected = f"{image_run.folder} is a run on images and {graph_run.folder} one on a graph"
    with pytest.raises(UsageError, match=re.escape(expected)):
        check_folders(folders[::-1] if turned else folders)


def test_a_damaged_run_is_one_error(folders, tmp_path):
    metrics = json.loads((folders[1] / "metrics.json").read_text())
    metrics["test"]["ranks"] = 5
    (folders[1] / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(ArtifactError, match="has content that no run has"):
        comparison_page(folders, tmp_path / "compare.html")


def test_names_are_as_short_as_tells_them_apart(tmp_path):
    assert names_of([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    assert names_of([tmp_path / "x" / "a", tmp_path / "y" / "a"]) == ["x/a", "y/a"]


SCORES = Table("Scores", [Column("run"), Column("AUC")], [["a", "1"], ["b", "2"]])


def test_few_settings_stand_beside_the_scores():
    found = scores_table(SCORES, {"lr": ["0.1", "0.2"], "seed": ["0", "1"]})
    assert [column.title for column in found.columns] == ["run", "lr", "seed", "AUC"]
    assert found.rows == [["a", "0.1", "0", "1"], ["b", "0.2", "1", "2"]]
    assert scores_table(SCORES, {}) == SCORES


def test_many_settings_have_a_table_of_their_own():
    different = {f"field {k}": ["0", "1"] for k in range(4)}
    assert scores_table(SCORES, different) == SCORES
    found = settings_table(different, ["a", "b"])
    assert [column.title for column in found.columns] == ["setting", "a", "b"]
    assert found.rows[0] == ["field 0", "0", "1"]


def test_the_still_shows_every_chart():
    names = ["$x_$", "<b>"]
    lines = [Series(name, [0, 1], [0.0, None]) for name in names]
    chart = Chart("One", "", lines)
    assert still({}) is None
    one, two = still({"a": chart}), still({"a": chart, "b": chart})
    assert one.startswith("data:image/png;base64,")
    assert len(two) > len(one)

import json
import shutil
import sys
from dataclasses import replace

import pytest

from vgae.recipes import PAPER
from vgae.recipes.images import ImageRecipe
from vgae.report.pages import frame as page
from vgae.runs.graphs import train_run
from vgae.runs.images import train_image_run


@pytest.fixture(scope="module")
def run(sbm_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "sbm"
    return train_run(str(sbm_file), folder, recipe=replace(PAPER, epochs=3)).folder


def test_report_writes_a_page_into_the_run(command, run, caplog):
    status, out, _ = command("report", run, "--top-k", 7)
    path = run / "report.html"
    assert status == 0
    size = path.stat().st_size
    assert out == f"{path}: {size / 1e6:.1f} MB, open it in a browser\n"
    assert 4e6 < size < 10e6
    assert "projecting 120 nodes into the plane" in caplog.messages
    assert caplog.records[0].name == "vgae.report.pages.graphs"
    html = path.read_text()
    assert html.startswith("<!doctype html>")
    assert html.count("<tr>", html.index('id="proposals"'), html.index('id="checks"')) == 8


def test_report_writes_where_it_is_told(command, run, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "plotly_js", lambda: "0")
    path = tmp_path / "page.html"
    status, out, err = command("report", run, "-o", path, "--json")
    assert status == 0
    assert json.loads(out) == {"path": str(path), "bytes": path.stat().st_size}
    assert err == ""


@pytest.mark.parametrize("name", ["page.pdf", "page"])
def test_another_format_is_refused(command, run, name, tmp_path):
    status, _, err = command("report", run, "-o", tmp_path / name)
    assert status == 2
    assert err.startswith("error[REPORT_FORMAT]: --out must end in .html")


def test_what_is_missing_is_told_before_any_work(command, run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    status, _, err = command("report", run, "-o", tmp_path / "x.html")
    assert status == 2
    assert err.startswith("error[MISSING_PACKAGE]: plotly")
    assert err.endswith(" is missing: pip install 'vgae[report]'.\n")
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_is_no_run_is_refused(command, tmp_path):
    status, _, err = command("report", tmp_path)
    assert status == 4
    assert err.startswith("error[")


def test_a_place_that_cannot_be_written_is_one_error(command, run, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "plotly_js", lambda: "0")
    (tmp_path / "file").touch()
    status, _, err = command("report", run, "-q", "-o", tmp_path / "file" / "x.html")
    assert status == 5
    assert err.startswith("error[CANNOT_WRITE]")


@pytest.fixture(scope="module")
def image_run(tmp_path_factory):
    recipe = ImageRecipe(name="short", hidden_channels=(8,), latent_channels=2, epochs=1)
    folder = tmp_path_factory.mktemp("runs") / "digits"
    return train_image_run("digits", folder, recipe=recipe, num_samples=2, progress=False).folder


def test_a_run_on_images_has_a_page_of_its_own_kind(command, image_run, monkeypatch):
    monkeypatch.setattr(page, "plotly_js", lambda: "0")
    status, out, _ = command("report", image_run)
    assert status == 0
    assert out.startswith(f"{image_run / 'report.html'}: 0.")
    assert 'id="decoded"' in (image_run / "report.html").read_text()


def test_several_runs_have_a_page_beside_them(command, run, monkeypatch):
    monkeypatch.setattr(page, "plotly_js", lambda: "0")
    copy = run.parent / "copy"
    shutil.copytree(run, copy)
    status, out, _ = command("report", run, copy, "--json")
    path = run.parent / f"compare-{run.name}-{copy.name}.html"
    assert status == 0
    assert json.loads(out) == {"path": str(path), "bytes": path.stat().st_size}
    assert "the difference is not significant" in path.read_text()
    assert 'href="sbm/report.html"' in path.read_text() or not (run / "report.html").exists()


def test_runs_that_do_not_go_together_are_one_line(command, run, image_run, monkeypatch):
    monkeypatch.setattr(page, "plotly_js", lambda: "0")
    status, _, err = command("report", run, image_run)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith(f"error[REPORT_KINDS]: {image_run} is a run on images and {run} one on")
    status, _, err = command("report", run, run / ".." / run.name)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith("error[REPORT_TWICE]: ")


@pytest.mark.row("R23")
def test_a_comparison_has_no_number_of_links(command, run):
    status, _, err = command("report", run, run, "--top-k", "5")
    said = "error[TOP_K]: a page that compares runs has no --top-k; leave that out.\n"
    assert (status, err) == (2, said)


@pytest.mark.row("R25")
def test_samples_of_the_posterior_give_intervals_and_likelihoods(command, run):
    status, out, _ = command("evaluate", run, "--samples", "5", "--json")
    assert status == 0
    assert json.loads(out)["test"]["likelihood"]["num_samples"] == 5
    status, out, _ = command("predict", run, "--samples", "5", "-o", run / "sampled.csv")
    assert status == 0
    assert "80 % interval\n" in out
    assert "that the pair is linked, in a graph as dense as this one" in out
    head = (run / "sampled.csv").read_text().splitlines()[0].split(",")
    assert head[3:6] == ["probability", "probability_low", "probability_high"]
    pairs = run / "pairs.csv"
    pairs.write_text("source,target\n0,1\n")
    status, _, err = command("predict", run, "--pairs", pairs, "--interval", "0.9")
    said = "error[INTERVAL]: without --samples there is no --interval; leave that out.\n"
    assert (status, err) == (2, said)


def test_predicted_weights_have_an_interval_without_samples(command, tmp_path):
    rows = [f"{i},{(i + k) % 20},{1 + (7 * i + k) % 9}.5" for i in range(20) for k in (1, 2, 3, 5)]
    (tmp_path / "a.csv").write_text("\n".join(["source,target,weight", *rows]) + "\n")
    run = tmp_path / "run"
    given = ("--reconstruct", "weights", "--epochs", "3", "-o", run)
    assert command("train", tmp_path / "a.csv", *given)[0] == 0
    width = {}
    for level in ("0.5", "0.9"):
        assert command("predict", run, "--interval", level)[0] == 0
        head, first, *_ = (run / "links.csv").read_text().splitlines()
        row = dict(zip(head.split(","), first.split(","), strict=True))
        width[level] = float(row["weight_high"]) - float(row["weight_low"])
    assert width["0.9"] > width["0.5"] > 0
    status, _, err = command("predict", run, "--seed", "1")
    said = "error[INTERVAL]: without --samples there is no --seed; leave that out.\n"
    assert (status, err) == (2, said)

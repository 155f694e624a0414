from vgae.report.view import view_of
from vgae.report.views import GRAPHS, IMAGES
from vgae.runs.kind import kind_of


def test_the_view_of_a_run_is_that_of_its_kind(graph_run, image_run):
    for run, view in ((graph_run, GRAPHS), (image_run, IMAGES)):
        assert view_of(run.folder) is view_of(run.config) is view_of(kind_of(run.config)) is view


def test_the_text_names_the_files_that_are_there(graph_run):
    text = GRAPHS.text(graph_run)
    assert "  split.npz" in text
    assert "report.html" not in text.split("Try next")[0]

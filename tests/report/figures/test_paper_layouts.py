from dataclasses import replace

import pytest

from vgae.errors import UsageError
from vgae.recipes import PAPER
from vgae.report.figures.paper import paper_figure
from vgae.report.figures.paper_layouts import OF_GRAPHS, compared
from vgae.runs.clusters import cluster_run
from vgae.runs.graphs import train_run


@pytest.fixture(scope="module")
def run(sbm_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return train_run(str(sbm_file), folder, recipe=replace(PAPER, epochs=3), progress=False)


@pytest.mark.parametrize(("num", "below"), [(1, False), (4, False), (5, True)])
def test_a_legend_of_many_lines_stands_below_the_axes_which_stay_as_large(run, num, below):
    figure, _ = compared("roc", [run] * num, [f"run {k}" for k in range(num)], 3.3)
    assert bool(figure.legends) == below
    assert (figure.get_figheight() > 0.8 * 3.3) == below
    assert (figure.axes[0].get_legend() is None) == below


def test_without_validation_links_there_are_no_axes_for_them(run):
    history = [row._replace(val_auc=None, val_ap=None) for row in run.history]
    with_scores, without = (
        OF_GRAPHS["curves"](run, 3.3).figure,
        OF_GRAPHS["curves"](replace(run, history=history), 3.3).figure,
    )
    assert [len(with_scores.axes), len(without.axes)] == [2, 1]
    assert without.axes[0].get_xlabel() == "epoch"


def test_nodes_are_coloured_by_the_stored_clusters(run):
    with pytest.raises(UsageError, match="nothing for 'clusters'"):
        paper_figure("clusters", run)
    cluster_run(run, k=3, method="kmeans")
    drawn = paper_figure("clusters", run)
    assert drawn.caption.startswith("120 nodes in 3 clusters by k-means")
    names = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    assert names == ["cluster 0", "cluster 1", "cluster 2"]

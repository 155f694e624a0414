from matplotlib.figure import Figure

from vgae.report.figures.training_panels import draw_elbo, draw_loss, draw_parts, draw_scores
from vgae.training.history import HistoryRow

ROWS = [HistoryRow(k, 1 / k, 10 / k, float(k), 0.5, 0.6) for k in range(1, 31)]


def drawn(draw, rows, *rest):
    axes = Figure().subplots()
    draw(axes, rows, *rest)
    return axes


def test_the_first_and_the_last_epoch_are_the_ends_of_the_axis():
    for axes in (drawn(draw_loss, ROWS), drawn(draw_scores, ROWS, {"epoch": 30})):
        assert axes.get_xlim() == (0.5, 30.5)


def test_parts_are_distinguished_by_dashes_as_well():
    axes = drawn(draw_parts, ROWS)
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]
    assert axes.get_yscale() == "log"


def test_few_epochs_are_points_and_many_a_line():
    assert drawn(draw_loss, ROWS[:9]).lines[0].get_marker() == "o"
    assert drawn(draw_loss, ROWS).lines[0].get_marker() == ""


def test_the_best_epoch_is_that_of_the_highest_elbo():
    rows = [HistoryRow(k, 1.0, 8.0, 2.0, val_elbo=-abs(k - 3.0)) for k in range(1, 6)]
    axes = drawn(draw_elbo, rows, 10)
    assert axes.lines[0].get_ydata().tolist() == [1] * 5
    assert axes.lines[2].get_xdata() == [3, 3]

import contextlib
import errno
import io
import re
import sys

import pytest

from vgae.runtime.progress import Pace, showing


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(Pace.__init__, "__kwdefaults__", {"clock": clock})
    return clock


def told(clock, capsys, *, total, seconds_each, text=str):
    """What is written to a file in the course of some work."""
    with showing(total, "epochs") as show:
        for done in range(1, total + 1):
            clock.now += seconds_each
            show(done, text)
    return capsys.readouterr().err.splitlines()


def test_short_work_leaves_no_line_in_a_file(clock, capsys):
    assert told(clock, capsys, total=400, seconds_each=0.01) == []


def test_a_file_gets_a_line_after_five_seconds_and_every_ten_and_one_at_the_end(clock, capsys):
    lines = told(clock, capsys, total=32, seconds_each=1, text=lambda: "loss 1")
    assert lines == [
        "5/32 epochs, 1.0/s, 0:27 left, loss 1",
        "15/32 epochs, 1.0/s, 0:17 left, loss 1",
        "25/32 epochs, 1.0/s, 0:07 left, loss 1",
        "32/32 epochs, 1.0/s, in 0:32, loss 1",
    ]


def test_the_text_is_asked_for_only_when_it_is_shown(clock, capsys):
    asked = []
    told(clock, capsys, total=1000, seconds_each=0.03, text=lambda: asked.append(1) or "x")
    assert len(asked) == 4


def test_work_that_fails_is_not_said_to_have_ended(clock, capsys):
    with contextlib.suppress(KeyError), showing(9, "epochs") as show:
        clock.now += 6
        show(1)
        show(2)
        raise KeyError
    assert capsys.readouterr().err.splitlines() == ["1/9 epochs, 6.0 s each, 0:48 left"]


@pytest.mark.parametrize(("total", "wanted"), [(50, False), (0, None), (0, True)])
def test_nothing_is_shown_where_it_is_not_wanted_or_there_is_nothing_to_do(
    clock, capsys, total, wanted
):
    with showing(total, "epochs", wanted=wanted) as show:
        clock.now += 60
        show(50)
    assert capsys.readouterr() == ("", "")


def test_without_a_stderr_the_work_goes_on(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with showing(2, "epochs") as show:
        show(1)


@pytest.mark.parametrize(
    ("unit", "done", "seconds", "words"),
    [
        ("epochs", 60, 2.0, ("60/100", "30/s", "0:01 left")),
        ("epochs", 20, 10.0, ("20/100", "2.0/s", "0:40 left")),
        ("trials", 1, 90.0, ("1/100", "90.0 s each", "2:28:30 left")),
        ("epochs", 100, 61.0, ("100/100", "1.6/s", "in 1:01")),
        ("epochs", 0, 3.0, ("0/100", "", "")),
    ],
)
def test_rate_and_time_left_follow_from_what_is_done(unit, done, seconds, words):
    clock = Clock()
    pace = Pace(100, unit, clock=clock)
    clock.now += seconds
    pace(done)
    assert (pace.counts(), pace.rate(), pace.time()) == words


def test_bytes_are_told_in_megabytes():
    clock = Clock()
    pace = Pace(54_900_000, "bytes", clock=clock)
    clock.now += 2
    pace(12_300_000)
    assert (pace.counts(), pace.rate()) == ("12.3/54.9 MB", "6.2 MB/s")


def test_the_time_left_goes_down_while_the_next_one_is_waited_for():
    clock = Clock()
    pace = Pace(10, "trials", clock=clock)
    clock.now += 30
    pace(3)
    assert pace.time() == "1:10 left"
    clock.now += 20
    assert pace.time() == "0:50 left"
    clock.now += 500
    assert pace.time() == "0:00 left"


def test_what_was_done_before_it_was_interrupted_does_not_count_as_fast():
    clock = Clock()
    pace = Pace(200, "epochs", clock=clock)
    pace.begin(150)
    clock.now += 5
    pace(160)
    assert pace.rate() == "2.0/s"
    assert pace.time() == "0:20 left"


def test_a_text_can_do_nothing_to_a_terminal():
    pace = Pace(2, "trials")
    pace(1, lambda: "a\x1b[2Jb\nc [red]d[/red]")
    assert pace.message() == r"a\x1b[2Jb c [red]d[/red]"


def drawn(capsys, monkeypatch, columns, text):
    monkeypatch.setenv("COLUMNS", str(columns))
    with showing(200, "epochs", wanted=True) as show:
        show(120, lambda: text)
    printed = capsys.readouterr()
    assert printed.out == ""
    last = re.split(r"\r|\n", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.err).strip())[-1]
    assert len(last) <= columns
    return last


def test_a_terminal_shows_a_bar_and_cuts_the_text_where_there_is_no_room(capsys, monkeypatch):
    line = drawn(capsys, monkeypatch, 100, "val AUC 91.0 [red] loss 0.5")
    assert line.startswith("120/200 ━")
    assert "left val AUC 91.0 [red] loss 0.5" in line
    narrow = drawn(capsys, monkeypatch, 50, "val AUC 91.0 AP 92.0 loss 0.4512 and more")
    assert narrow.startswith("120/200 ")
    assert "━" not in narrow
    assert "val AUC" in narrow
    assert narrow.endswith("…")


def test_what_is_printed_meanwhile_goes_where_it_would_have_gone(capsys):
    with showing(2, "epochs", wanted=True) as show:
        show(1)
        sys.stdout.write("result\n")
    assert capsys.readouterr().out == "result\n"


@pytest.mark.row("R20")
@pytest.mark.parametrize("wanted", [None, True])
def test_work_goes_on_if_stderr_can_no_longer_be_written(wanted, clock, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise OSError(errno.EIO, "Input/output error")

        def flush(self):
            self.write("")

    monkeypatch.setattr(sys, "stderr", Closed())
    with showing(100, "epochs", wanted=wanted) as show:
        for done in range(1, 101):
            clock.now += 1
            show(done)
    assert show.done == 100


IN_A_CELL = """
import sys
if {blocked}:
    sys.modules["ipywidgets"] = None
from vgae.runtime import progress
progress._SHORT = 0.0
for wanted in (None, True):
    with progress.showing(40, "epochs", wanted=wanted) as show:
        for done in range(1, 41):
            show(done, lambda: "<b>loss</b>")
with progress.showing(9, "epochs", wanted=False) as show:
    show(9)
progress._SHORT = 60.0
with progress.showing(9, "epochs") as show:
    show(9)
try:
    with progress.showing(9, "epochs", wanted=True) as show:
        show(3)
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
"""


@pytest.mark.parametrize("blocked", [True, False], ids=["without ipywidgets", "with ipywidgets"])
def test_a_notebook_gets_one_bar_that_is_replaced_and_no_warning(blocked):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cell = nbformat.v4.new_code_cell(IN_A_CELL.format(blocked=blocked))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    assert [output.output_type for output in cell.outputs] == ["display_data"] * 3
    shown = [output.data["text/html"] for output in cell.outputs]
    for page in shown[:2]:
        assert page.startswith('<div><progress value="40" max="40"></progress> 40/40 ')
        assert page.endswith(" &lt;b&gt;loss&lt;/b&gt;</div>")
        assert len(page) < 200
    assert 'value="3" max="9"' in shown[2]
    assert cell.outputs[0].data["text/plain"].startswith("40/40 ")


def test_a_part_of_a_unit_moves_the_time_left_and_not_the_count():
    clock = Clock()
    pace = Pace(10, "trials", clock=clock)
    clock.now += 5
    pace(0.5)
    assert (pace.counts(), pace.time()) == ("0/10", "1:35 left")

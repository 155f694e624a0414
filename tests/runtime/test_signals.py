"""A first signal is noted, a second does what it always did, and then all is as it was before."""

import os
import signal
import threading
from pathlib import Path

import pytest

from vgae.errors import Interrupted
from vgae.runtime.signals import ended_by_signals, exit_on_signals

STATUS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "status"), STATUS)
def test_a_signal_is_noted_and_raised_when_it_is_asked_for(number, status):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ended_by_signals(wanted=True) as signals:
            signals.check(1, Path("run/checkpoints"))
            os.kill(os.getpid(), number)
            words = f"{number.name} ended the training after epoch 3"
            with pytest.raises(Interrupted, match=words) as error:
                signals.check(3, Path("run/checkpoints"))
        assert error.value.exit_code == status
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.row("R02")
@pytest.mark.parametrize(("number", "status"), STATUS)
def test_what_has_nothing_to_finish_tells_of_the_signal_and_ends(number, status):
    before, told = signal.getsignal(number), []

    def work():
        with exit_on_signals(told.append):
            os.kill(os.getpid(), number)

    signal.signal(number, signal.default_int_handler)  # not ignored, as in a background job
    try:
        with pytest.raises(SystemExit) as end:
            work()
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert end.value.code == status
    assert told == [f"{number.name} ended it; files written before are complete"]


def test_a_second_signal_ends_it_at_once():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ended_by_signals(wanted=True) as signals:
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.received == signal.SIGINT
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_where_it_is_not_wanted_or_not_the_main_thread_nothing_changes():
    before = signal.getsignal(signal.SIGINT)
    with ended_by_signals(wanted=False):
        assert signal.getsignal(signal.SIGINT) is before

    def elsewhere():
        with ended_by_signals(wanted=True):
            assert signal.getsignal(signal.SIGINT) is before

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()


def test_what_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ended_by_signals(wanted=True) as signals:
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.received == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_was_ignored_stays_ignored_after_another_signal():
    """As SIGHUP under nohup, when SIGTERM ends the training."""
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals(wanted=True) as signals:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.received == signal.SIGTERM
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, hang_up)


def test_a_report_that_cannot_be_written_does_not_change_the_status():
    def closed(_):
        raise OSError(5, "Input/output error")

    def work():
        with exit_on_signals(closed):
            os.kill(os.getpid(), signal.SIGHUP)

    with pytest.raises(SystemExit) as end:
        work()
    assert end.value.code == 129

"""Worker processes, with functions of a module that they import as they would any other."""

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from vgae.errors import DataError, ResourceError
from vgae.runtime.workers import ATTEMPTS, run_in_workers, tell

ROOT = Path(__file__).parents[2]
MODULE = '''
import os, signal, time
from pathlib import Path
from vgae.errors import DataError

def square(number, task):
    return os.getpid(), number, task**2

def dying(number, task):
    """End by SIGKILL as often as the file of the task has bytes to lose."""
    path = Path(task)
    left = path.read_bytes()
    if left:
        path.write_bytes(left[1:])
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name

def failing(number, task):
    if task == "data":
        raise DataError("NO_EDGES", "no edges")
    if task == "fault":
        return {}[task]
    time.sleep(100)

def telling(number, task):
    from vgae.runtime import workers

    workers._BETWEEN = 0.0
    for step in range(3):
        workers.tell(step, task)
    workers._BETWEEN = 100.0
    workers.tell("not yet", task)
    return task

def sleeping(number, task):
    Path(task).write_text(str(os.getpid()))
    time.sleep(100)
'''


@pytest.fixture
def work(tmp_path, monkeypatch):
    (tmp_path / "work_of_a_test.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("work_of_a_test")
    sys.modules.pop("work_of_a_test")


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = set(psutil.Process().children())
    yield
    left = set(psutil.Process().children()) - before
    assert not [process for process in left if "resource_tracker" not in str(process.cmdline())]


def test_each_task_is_carried_out_once_by_one_of_the_processes(work):
    found, seen = {}, []
    run_in_workers(work.square, [3, 4, 5, 6], 2, on_result=found.__setitem__, on_wait=seen.append)
    assert [found[k][2] for k in range(4)] == [9, 16, 25, 36]
    processes = {(pid, number) for pid, number, _ in found.values()}
    assert {number for _, number in processes} <= {0, 1}
    assert len(processes) <= 2
    assert os.getpid() not in {pid for pid, _ in processes}
    assert seen[0] == [3, 4]
    assert max(map(len, seen)) == 2


@pytest.mark.row("R01")
def test_the_task_of_a_killed_process_is_repeated(work, tmp_path, caplog):
    found, tasks = {}, [tmp_path / name for name in ("once", "twice", "never")]
    for path, content in zip(tasks, (b".", b"..", b""), strict=True):
        path.write_bytes(content)
    run_in_workers(work.dying, tasks, 2, on_result=found.__setitem__)
    assert found == {0: "once", 1: "twice", 2: "never"}
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert f"the process of {tasks[0]} was ended by SIGKILL; this is repeated" in lines


@pytest.mark.row("R01")
def test_a_task_whose_process_is_killed_three_times_is_named(work, tmp_path):
    found, tasks = {}, [tmp_path / "never", tmp_path / "always"]
    for path, content in zip(tasks, (b"", b"." * ATTEMPTS), strict=True):
        path.write_bytes(content)
    with pytest.raises(ResourceError, match=r"always was ended by SIGKILL, and so were 2") as e:
        run_in_workers(work.dying, tasks, 1, on_result=found.__setitem__)
    assert e.value.code == "WORKER_LOST"
    assert found == {0: "never"}


def test_an_error_ends_all_processes_and_keeps_its_code_or_its_traceback(work):
    with pytest.raises(DataError, match=r"^no edges$") as known:
        run_in_workers(work.failing, ["sleep", "data"], 2, on_result=print)
    assert known.value.code == "NO_EDGES"
    with pytest.raises(RuntimeError, match="KeyError: 'fault'") as fault:
        run_in_workers(work.failing, ["fault"], 1, on_result=print)
    assert "return {}[task]" in fault.value.__notes__[0]


def test_all_processes_end_with_the_caller(work):
    def interrupt(*_):
        raise SystemExit(130)

    with pytest.raises(SystemExit):
        run_in_workers(work.square, [*range(9)], 2, on_result=interrupt)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_processes_end_with_one_that_is_killed_or_interrupted(number, tmp_path):
    (tmp_path / "work_of_a_test.py").write_text(MODULE)
    program = (
        "from work_of_a_test import sleeping; from vgae.runtime.workers import run_in_workers\n"
        "if __name__ == '__main__': run_in_workers(sleeping, ['a', 'b'], 2, on_result=print)"
    )
    (tmp_path / "main.py").write_text(program)
    process = started(tmp_path)
    try:
        workers = []
        while len(workers) < 2:
            assert process.poll() is None
            files = [tmp_path / name for name in "ab"]
            workers = [file.read_text() for file in files if file.exists()]
            workers = [int(text) for text in workers if text]
        alive = [psutil.Process(pid) for pid in workers]
        # A terminal interrupts all; the traceback of the first alone is shown.
        (os.kill if number == signal.SIGKILL else os.killpg)(process.pid, number)
        _, err = process.communicate(timeout=60)
        assert err.count("Traceback") == (number == signal.SIGINT)
        assert psutil.wait_procs(alive, timeout=60)[1] == []
    finally:
        process.kill()


def test_a_script_without_a_guard_is_refused(tmp_path):
    (tmp_path / "work_of_a_test.py").write_text(MODULE)
    (tmp_path / "main.py").write_text(
        "from work_of_a_test import square; from vgae.runtime.workers import run_in_workers\n"
        "run_in_workers(square, [1], 1, on_result=print)"
    )
    process = started(tmp_path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the process of 1 ended with status 1 before its work; call it in a script under" in err


def started(folder):
    return subprocess.Popen(
        [sys.executable, "main.py"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="absent on Windows")
def test_signals_of_a_terminal_reach_no_process_of_a_fresh_interpreter(tmp_path):
    """The first process of an interpreter starts another one beside it, which must not matter."""
    script = tmp_path / "script.py"
    script.write_text(
        "import signal\n"
        "from vgae.runtime.workers import run_in_workers\n"
        "def blocked(number, task):\n"
        "    return sorted(int(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, []))\n"
        'if __name__ == "__main__":\n'
        "    run_in_workers(blocked, [1, 2], 2, on_result=lambda index, found: print(found))\n"
    )
    words = [sys.executable, str(script)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=120, check=True)
    numbers = sorted([signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
    assert done.stdout.splitlines() == [str([int(number) for number in numbers])] * 2


def test_a_task_tells_how_far_it_is_and_not_too_often(work):
    notes, found = [], {}
    options = {"on_result": found.__setitem__, "on_note": lambda *note: notes.append(note)}
    run_in_workers(work.telling, ["a"], 1, **options)
    assert notes == [(0, (step, "a")) for step in range(3)]
    assert found == {0: "a"}
    tell("nobody", "listens here")

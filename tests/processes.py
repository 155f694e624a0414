"""Functions and commands in several processes that train together, on this machine.

    results = together(2, function, *arguments)  # the fixture of tests/conftest.py

runs ``function(*arguments)``, which is one of a module, in each of two processes of a gloo group
with one thread each, and returns what they return, in the order of their ranks.

    run = together.command(2, ["train", "stdlib"], folder)
    statuses = run.wait()

does what ``torchrun --nproc-per-node 2 -m vgae train stdlib`` does, without its agent, which also
sends SIGTERM to the others when one has ended.

The processes are forked from one that has imported all, so that they start in a tenth of a second;
still, one call with many checks is faster than many calls.
"""

import importlib.util
import multiprocessing
import multiprocessing.connection
import os
import pickle
import runpy
import signal
import sys
import time
import traceback
from datetime import timedelta
from pathlib import Path

import torch.distributed

_PRELOADED = ["torch", "torch.distributed", "vgae.cli.app", "vgae.runs.typed", "vgae.runs.images"]


def together(size, function, *arguments, seconds=100):
    """Return the results of a function in so many processes; see above.

    The first exception is raised, from one with the traceback of its process. All processes are
    killed then, and after so many seconds.
    """
    context, store = _context(), _store()
    place = _place(function)
    content = pickle.dumps(arguments)
    started, pipes = [], []
    end = time.monotonic() + seconds
    try:
        for rank in range(size):
            ours, theirs = context.Pipe(duplex=False)
            given = (rank, size, store.port, place, content, theirs)
            started.append(_started(context, "_run", given))
            theirs.close()
            pipes.append(ours)
        found = _received(pipes, end)
        for process in started:
            process.join(max(end - time.monotonic(), 1))
    finally:
        for process in started:
            process.kill()
            process.join()
        for pipe in pipes:
            pipe.close()
    return [found[rank] for rank in range(size)]


class Command:
    """The command line in several processes.

    Args:
        size: Number of processes.
        arguments: Words of the command.
        folder: Folder of what they print.
        prepare: Function ``(rank)`` of a module that each process calls first.
        environment: Variables of the environment.
    """

    def __init__(self, size, arguments, folder, prepare=None, environment=()):
        self.folder, self.store = folder, _store()
        self.environment = {
            "WORLD_SIZE": str(size),
            "LOCAL_WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(self.store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            **dict(environment),
        }
        given = [*map(str, arguments)], str(folder), prepare and _place(prepare), self.environment
        context = _context()
        self.processes = [_started(context, "_command", (rank, *given)) for rank in range(size)]

    def wait(self, seconds=60, ranks=None):
        """Return the exit statuses, minus a signal; kill what does not end."""
        end = time.monotonic() + seconds
        chosen = self.processes if ranks is None else [self.processes[rank] for rank in ranks]
        for process in chosen:
            process.join(max(end - time.monotonic(), 0))
        statuses = [process.exitcode for process in chosen]
        if ranks is None or None in statuses:
            self.send(signal.SIGKILL)
        return statuses

    def send(self, number, *ranks):
        """Send a signal to some processes, by default to all."""
        for rank in ranks or range(len(self.processes)):
            if self.processes[rank].is_alive():
                os.kill(self.processes[rank].pid, number)

    def err(self):
        """Return what each process printed to stderr."""
        return [self._text(rank, "err") for rank in range(len(self.processes))]

    def out(self):
        """Return what each process printed to stdout."""
        return [self._text(rank, "out") for rank in range(len(self.processes))]

    def _text(self, rank, name):
        return (self.folder / f"{rank}.{name}").read_text(encoding="utf-8")


together.command = Command


def _context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def _store():
    return torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def _place(function):
    return sys.modules[function.__module__].__file__, function.__qualname__


def _started(context, name, given):
    # A target in the standard library: tests are no package that could be imported.
    options = (__file__, {"GIVEN": given, "NAME": name}, "process")
    process = context.Process(target=runpy.run_path, args=options, daemon=True)
    process.start()
    return process


def _received(pipes, end):
    """Return the results by rank; raise the first exception."""
    found = {}
    while len(found) < len(pipes):
        waiting = [pipe for rank, pipe in enumerate(pipes) if rank not in found]
        ready = multiprocessing.connection.wait(waiting, max(end - time.monotonic(), 0))
        if not ready:
            missing = [rank for rank in range(len(pipes)) if rank not in found]
            raise TimeoutError(f"no result of the processes {missing}")
        for pipe in ready:
            rank = pipes.index(pipe)
            try:
                result, error, text = pickle.loads(pipe.recv_bytes())
            except EOFError:
                raise RuntimeError(f"process {rank} ended without a result") from None
            if error is not None:
                raise error from RuntimeError(f"in process {rank}:\n{text}")
            found[rank] = result
    return found


def _run(rank, size, port, place, content, pipe):
    """Be one of the processes."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    answer = None, None, ""
    try:
        store = torch.distributed.TCPStore("127.0.0.1", port, is_master=False)
        patience = timedelta(seconds=100)
        torch.distributed.init_process_group(
            "gloo", store=store, rank=rank, world_size=size, timeout=patience
        )
        answer = pickle.dumps((_function(*place)(*pickle.loads(content)), None, ""))
        pipe.send_bytes(answer)
        torch.distributed.destroy_process_group()
    except BaseException as error:
        answer = None, _plain(error), traceback.format_exc()
        pipe.send_bytes(pickle.dumps(answer))


def _command(rank, arguments, folder, prepare, environment):
    """Be one of the processes of a command."""
    os.environ.update(environment, RANK=str(rank), LOCAL_RANK=str(rank), GLOO_SOCKET_IFNAME="lo")
    torch.set_num_threads(1)
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(Path(folder, f"{rank}.{name}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    if prepare is not None:
        _function(*prepare)(rank)
    from vgae.cli.app import main

    main(arguments)


def _plain(error):
    """Return an exception that can be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _function(path, name):
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


if __name__ == "process":
    globals()[NAME](*GIVEN)  # noqa: F821

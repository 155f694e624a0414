"""Functions in several processes that train together, on this machine.

    results = together(2, function, *arguments)  # the fixture of tests/conftest.py

runs ``function(*arguments)``, which is one of a module, in each of two processes of a gloo group
with one thread each, and returns what they return, in the order of their ranks. The processes are
forked from one that has imported torch, so that they start in a tenth of a second; still, one call
with many checks is faster than many calls.
"""

import importlib.util
import multiprocessing
import multiprocessing.connection
import os
import pickle
import runpy
import sys
import time
import traceback
from datetime import timedelta
from pathlib import Path

import torch.distributed

_PRELOADED = ["torch", "torch.distributed", "vgae.training.links", "vgae.training.images"]


def together(size, function, *arguments, seconds=100):
    """Return the results of a function in so many processes; see above.

    The first exception is raised, from one with the traceback of its process. All processes are
    killed then, and after so many seconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    place = sys.modules[function.__module__].__file__, function.__qualname__
    content = pickle.dumps(arguments)
    started, pipes = [], []
    end = time.monotonic() + seconds
    try:
        for rank in range(size):
            ours, theirs = context.Pipe(duplex=False)
            given = {"GIVEN": (rank, size, store.port, place, content, theirs)}
            # A target in the standard library: tests are no package that could be imported.
            options = (__file__, given, "process")
            process = context.Process(target=runpy.run_path, args=options, daemon=True)
            process.start()
            theirs.close()
            started.append(process)
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
    _run(*GIVEN)  # noqa: F821

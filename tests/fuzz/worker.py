"""One process that reads cases from stdin and answers what became of each on stdout.

A case is the name of its target and some bytes, each behind its length. The answer is one line:
``ok``, ``VgaeError CODE``, ``escaped ...`` or ``memory ...``. A case that runs too long, or that
kills the process, ends it by a signal, which the other side sees as the end of the answers.
"""

import base64
import json
import os
import resource
import signal
import struct
import sys
import traceback

SECONDS = 60  # a hang guard: a case takes milliseconds
MOST_GROWTH = 400 * 2**20  # bytes; the largest thing that readers take without asking is 64 MiB
MOST_ADDRESSES = 6 * 2**30


def main() -> None:
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from targets import TARGETS

    from vgae.errors import VgaeError

    seeds = {
        name: [base64.b64encode(seed).decode() for seed in target.seeds]
        for name, target in TARGETS.items()
    }
    answers.write(json.dumps(seeds) + "\n")
    pages = int(open("/proc/self/statm").read().split()[0]) if sys.platform == "linux" else 0  # noqa: PTH123, SIM115
    if pages:
        most = pages * resource.getpagesize() + MOST_ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    while head := sys.stdin.buffer.read(8):
        name_length, length = struct.unpack("<II", head)
        name = sys.stdin.buffer.read(name_length).decode()
        data = sys.stdin.buffer.read(length)
        before = peak()
        signal.alarm(SECONDS)
        try:
            TARGETS[name].run(data)
            answer = "ok"
        except VgaeError as error:
            answer = f"VgaeError {error.code}"
            if "\n" in str(error) or not str(error).isprintable():
                answer = f"escaped unprintable message {error.code} {str(error)!a}"
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)
            ours = [f for f in where if "/vgae/" in f.filename] or where
            answer = (
                f"escaped {type(error).__name__}: {str(error)!a:.200} at "
                + " < ".join(
                    f"{os.path.basename(f.filename)}:{f.lineno}"  # noqa: PTH119
                    for f in reversed(ours[-4:])
                )
            )
        signal.alarm(0)
        if peak() - before > MOST_GROWTH:
            answer = f"memory grew by {(peak() - before) >> 20} MiB; {answer}"
        answers.write(answer + "\n")


def peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


if __name__ == "__main__":
    main()

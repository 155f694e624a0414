"""Files with faults, commands on them, and what every refusal has in common."""

import io
import logging
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp


def as_bytes(content):
    """Return what a file holds, given as text, bytes, an array, arrays by name, or a matrix."""
    if isinstance(content, str | bytes):
        return content.encode() if isinstance(content, str) else content
    file = io.BytesIO()
    if sp.issparse(content):
        sp.save_npz(file, content)
    elif isinstance(content, dict):
        np.savez(file, **content)
    else:
        np.save(file, content)
    return file.getvalue()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write files by name into the folder that the commands run in."""
    monkeypatch.chdir(tmp_path)

    def written(files):
        for name, content in files.items():
            path = tmp_path / name
            if hasattr(content, "schema"):  # a table of pyarrow
                import pyarrow.parquet as pq

                pq.write_table(content, path)
            elif callable(content):
                content(path)
            else:
                path.write_bytes(as_bytes(content))

    return written


def inventory(folder: Path):
    """Return the bytes of every file below a folder, None for what is no file."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def words_of(text):
    """Return the words of a command line, with an output where the command needs one."""
    words = text.split()
    if words[0] in ("train", "convert") and "-o" not in words:
        words += ["-o", "run" if words[0] == "train" else "out.npz"]
    return words


@pytest.fixture
def refused(command, tmp_path, write):
    """Run a command that must fail: one line, its code, and nothing written.

    Returns the message.
    """

    def run(files, text, code, *says, status=3, more_lines=0):
        write(files)
        before = inventory(tmp_path)
        found, out, err = command(*words_of(text))
        lines = err.splitlines()
        assert err.startswith(f"error[{code}]: "), err
        assert (found, out) == (status, "")
        # Only what is a list of files has more lines, and they are set in.
        assert len(lines) == 1 + more_lines
        assert all(line.startswith("  ") for line in lines[1:])
        for pattern in says:
            assert re.search(pattern, err), f"{pattern} is not in {err}"
        assert inventory(tmp_path) == before
        return err

    return run


class Answer(NamedTuple):
    """What a command that worked printed, and what it announced."""

    out: str
    notices: str


@pytest.fixture
def accepted(command, tmp_path, write, caplog):
    """Run a command that must work, and leave no temporary file; return what it said."""

    def run(files, text):
        write(files)
        caplog.clear()
        caplog.set_level(logging.INFO, "vgae")
        status, out, err = command(*words_of(text))
        assert status == 0, err
        assert not list(tmp_path.rglob(".tmp-*"))
        return Answer(out, caplog.text)

    return run


@pytest.fixture
def converted(accepted, tmp_path):
    """Convert a file that must be readable; return the graph that is written."""
    from vgae.data.files import read_npz

    def run(files, text):
        accepted(files, text)
        return read_npz(tmp_path / "out.npz")

    return run


@pytest.fixture
def trained(accepted, tmp_path):
    """Train on a file that must do; return what was said and the embedding, which is finite."""
    from vgae.runtime.npz import read_arrays

    def run(files, text):
        answer = accepted(files, text)
        arrays = read_arrays(tmp_path / "run" / "embeddings.npz")
        assert np.isfinite(arrays["mu"]).all()
        return answer, arrays

    return run


@pytest.fixture(scope="session")
def known_run(tmp_path_factory):
    """A run on a ring of 40 nodes, n00 to n39, with two features, a and b."""
    from vgae.cli.app import main

    folder = tmp_path_factory.mktemp("known")
    names = [f"n{k:02}" for k in range(40)]
    pairs = zip(names, names[1:] + names[:1], strict=True)
    (folder / "ring.csv").write_text("".join(f"{u},{v}\n" for u, v in pairs))
    rows = "".join(f"{name},{k % 2},{k % 3}\n" for k, name in enumerate(names))
    (folder / "x.csv").write_text("id,a,b\n" + rows)
    words = ["train", folder / "ring.csv", "--features", folder / "x.csv", "-o", folder / "run"]
    with pytest.raises(SystemExit) as end:
        main([*map(str, words), "--epochs", "1", "--quiet"])
    assert not end.value.code
    return folder / "run"

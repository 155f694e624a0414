"""Data sets whose files are missing, damaged or something else, and downloads: rows L17 to L30."""

import hashlib
import http.server
import os
import pickle
import re
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest

from vgae.data import catalog
from vgae.data.idx import read_idx_pair

PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
PLANETOID = {f"ind.toy.{part}": f"{part} of toy".encode() for part in PARTS}
LOGIN_PAGE = b"<!doctype html><title>Please log in</title>"


def catalogue_of(content, kind, url):
    """Return a catalogue with one data set, 'toy', whose files must have this content."""
    lines = [f'[toy]\ntitle = "Toy"\nkind = "{kind}"\nlicence = "CC0"\nurl = "{url}"']
    lines += ["counts = { train = 2 }", "[toy.files]"]
    for name, data in content.items():
        digest = hashlib.sha256(data).hexdigest()
        lines.append(f'"{name}" = {{ bytes = {len(data)}, sha256 = "{digest}" }}')
    return "\n".join(lines)


@pytest.fixture
def toy_set(tmp_path, monkeypatch):
    """Make a data set 'toy' known and put its files in place; there is no network.

    Returns the folder of the files.
    """

    def make(content, kind="planetoid", url="https://example.org/data/", there=True):
        (tmp_path / "catalog.toml").write_text(catalogue_of(content, kind, url))
        home = tmp_path / "home" / kind
        home.mkdir(parents=True)
        for name, data in content.items() if there else ():
            (home / name).write_bytes(data)
        return home

    monkeypatch.setattr(catalog, "datasets_dir", lambda: tmp_path)
    monkeypatch.setenv("VGAE_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("VGAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VGAE_OFFLINE", "1")
    return make


@pytest.mark.parametrize(
    ("line", "absent"),
    [
        pytest.param("train toy", ["tx", "graph"], id="L24-two-missing"),
        pytest.param("datasets fetch toy", ["y"], id="L24-one-missing"),
        pytest.param("datasets fetch toy", list(PARTS), id="L29"),
    ],
)
def test_missing_files_are_listed_with_address_and_digest(refused, toy_set, line, absent):
    home = toy_set(PLANETOID)
    for part in absent:
        (home / f"ind.toy.{part}").unlink()
    message = refused({}, line, "OFFLINE", re.escape(str(home)), more_lines=len(absent))
    listed = message.splitlines()[1:]
    assert [row.split()[0] for row in listed] == [f"ind.toy.{p}" for p in PARTS if p in absent]
    pattern = r" \d+ bytes  sha256 [0-9a-f]{64}  https://example\.org/data/ind\.toy\.\S+$"
    assert all(re.search(pattern, row) for row in listed)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-1], id="L25-cut-short"),
        pytest.param(lambda data: data[:-1] + b"!", id="L25-changed"),
        pytest.param(lambda data: data + b"!", id="L25-longer"),
        pytest.param(lambda data: b"cos\nsystem\n(S'touch marker'\ntR.", id="L25-tampered"),
    ],
)
def test_a_damaged_file_is_not_read_and_not_removed(refused, command, toy_set, damage):
    home = toy_set(PLANETOID)
    path = home / "ind.toy.graph"
    path.write_bytes(damage(path.read_bytes()))
    says = (
        r"expected \d+ bytes with sha256 \w+, got \d+ .*; delete it and run `vgae datasets fetch"
    )
    for line in ("train toy", "datasets fetch toy"):
        refused({}, line, "CHECKSUM", re.escape(str(path)), says)
    status, out, _ = command("datasets", "verify", "toy")
    assert status == 3
    assert re.search(r"damaged +ind\.toy\.graph", out)
    assert not (home / "marker").exists()


def idx(*sizes, code=0x08, data=None):
    """Return an IDX file by hand: magic, sizes, numbers."""
    head = struct.pack(f">BBBB{len(sizes)}I", 0, 0, code, len(sizes), *sizes)
    return head + (bytes(int(np.prod(sizes))) if data is None else data)


MNIST = {
    "train-images-idx3-ubyte": idx(4, 2, 2),
    "train-labels-idx1-ubyte": idx(4),
    "t10k-images-idx3-ubyte": idx(2, 2, 2),
    "t10k-labels-idx1-ubyte": idx(2),
}


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        pytest.param(
            b"<!doctype html>",
            "NOT_THE_FILE",
            r"it is a web page",
            id="L17",
        ),
        pytest.param(
            idx(4, 2, 2, data=bytes(15)),
            "IDX_SIZE",
            "states 4 x 2 x 2 = 16 bytes, and 15 bytes follow; .* again",
            id="L18-short",
        ),
        pytest.param(
            idx(4, 2, 2, data=bytes(17)),
            "IDX_SIZE",
            "states 4 x 2 x 2 = 16 bytes, and 17 bytes follow",
            id="L18-long",
        ),
        pytest.param(
            idx(2**16, 2**16, 1, data=b""), "IDX_SIZE", f"= {2**32} bytes, and 0", id="L18-2**32"
        ),
        pytest.param(
            idx(2**22, 2**22, 2**22, data=b""),
            "IDX_SIZE",
            f"= {2**66} bytes, and 0",
            id="L18-2**66",
        ),
        pytest.param(
            idx(4, 2, 2, code=0x0D), "IDX_MAGIC", "another type than unsigned bytes", id="L19-type"
        ),
        pytest.param(idx(4), "IDX_MAGIC", r"got 0x00000801 \(1 dimension\)", id="L19-labels"),
        pytest.param(
            idx(3, 2, 2),
            "IDX_COUNT",
            "train-images-idx3-ubyte has 3 images and .*train-labels-idx1-ubyte 4 labels",
            id="L19-counts",
        ),
    ],
)
def test_images_that_are_not_what_they_must_be_are_one_line(refused, toy_set, content, code, says):
    """Their digests are right here, so that it is their content that is refused."""
    home = toy_set(MNIST | {"train-images-idx3-ubyte": content}, "idx")
    refused({}, "train toy", code, re.escape(str(home / "train-images-idx3-ubyte")), says)


@pytest.mark.row("L17", "L18", "L19")
def test_the_images_that_others_are_changed_from_are_good_ones(toy_set):
    home = toy_set(MNIST, "idx")
    images, labels = list(MNIST)[:2]
    assert [len(part) for part in read_idx_pair(home / images, home / labels)] == [4, 4]


class Marks:
    """Leaves a file behind if it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("marker",)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(pickle.dumps(Marks(), 2), id="L26-call"),
        pytest.param(b"\x80\x02cos\nsystem\nU\x0ctouch marker\x85R.", id="L26-system"),
        pytest.param(pickle.dumps(Marks(), 4), id="L26-protocol-4"),
        pytest.param(b"cos\nsystem\n(S'touch marker'\ntR.", id="L26-protocol-0"),
        pytest.param(b"\x80\x02" + b"]" * 1_000_001 + b".", id="L26-endless"),
    ],
)
def test_a_file_that_asks_for_more_than_data_is_refused_and_not_run(
    refused, toy_set, tmp_path, payload
):
    """Its digest is right, as that of a data set of one's own may be."""
    home = toy_set(PLANETOID | {"ind.toy.graph": payload})
    refused({}, "train toy", "PICKLE_REFUSED", re.escape(str(home / "ind.toy.graph")))
    assert not (tmp_path / "marker").exists()


@pytest.fixture
def server(monkeypatch):
    """A web server on this machine, whose answers can be changed; its address."""
    answers = {name: (200, data, len(data)) for name, data in PLANETOID.items()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body, length = answers[self.path.rpartition("/")[2]]
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "ind.toy.login")
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    there = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.answers, there.url = answers, f"http://127.0.0.1:{there.server_port}/"
    thread = threading.Thread(target=there.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)
    yield there
    there.shutdown()
    thread.join()
    there.server_close()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param((404, b"", 0), "OFFLINE", id="L30-404"),
        pytest.param((403, LOGIN_PAGE, len(LOGIN_PAGE)), "OFFLINE", id="L30-403"),
        pytest.param((429, b"", 0), "OFFLINE", id="L30-429"),
        pytest.param((200, b"graph", 12), "OFFLINE", id="L30-cut-short"),
        pytest.param((200, LOGIN_PAGE, len(LOGIN_PAGE)), "CHECKSUM", id="L30-a-page"),
        pytest.param((302, b"", 0), "CHECKSUM", id="L30-redirected-to-a-page"),
        pytest.param((200, b"", 0), "CHECKSUM", id="L30-nothing"),
    ],
)
def test_a_download_that_fails_is_one_error_and_leaves_nothing(
    refused, toy_set, server, monkeypatch, answer, code
):
    home = toy_set(PLANETOID, url=server.url)
    (home / "ind.toy.graph").unlink()
    monkeypatch.delenv("VGAE_OFFLINE")
    server.answers["ind.toy.graph"] = answer
    server.answers["ind.toy.login"] = (200, LOGIN_PAGE, len(LOGIN_PAGE))
    lines = 1 if code == "OFFLINE" else 0
    refused({}, "datasets fetch toy", code, "toy", more_lines=lines)


@pytest.mark.row("L28")
def test_eight_processes_that_fetch_at_once_all_find_whole_files(toy_set, server, tmp_path):
    home = toy_set(PLANETOID, url=server.url, there=False)
    program = (
        "import sys, pathlib\n"
        "from vgae.cli.app import main\n"
        "from vgae.data import catalog\n"
        f"catalog.datasets_dir = lambda: pathlib.Path({str(tmp_path)!r})\n"
        "main(['datasets', 'fetch', 'toy'])"
    )
    environment = {**os.environ, "VGAE_OFFLINE": ""}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    said = {process.communicate(timeout=120) for process in started}
    assert [process.returncode for process in started] == [0] * 8
    assert said == {("toy: 8 files at hand\n", "")}
    assert {path.name: path.read_bytes() for path in home.rglob("*")} == PLANETOID

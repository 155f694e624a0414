import gzip
import hashlib
import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vgae.data.catalog import (
    Entry,
    FileInfo,
    catalogue,
    data_home,
    entry,
    fetch,
    locate,
    missing,
    verify,
)
from vgae.errors import DataError

CONTENT = {"a.bin": b"first file" * 50, "b.bin": b"second file" * 50}
LOGIN_PAGE = b"<!doctype html><title>Please log in</title>"


class Server:
    """A web server on this machine; `answers` says what it sends for each file."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = {name: (200, body, len(body)) for name, body in CONTENT.items()}
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.rpartition("/")[2]
                server.asked.append(name)
                status, body, length = server.answers[name]
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/data/"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("VGAE_DATA", str(tmp_path / "home"))
    monkeypatch.delenv("VGAE_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "home"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def toy(url: str = "http://127.0.0.1:9/data/") -> Entry:
    files = {n: FileInfo(len(b), hashlib.sha256(b).hexdigest()) for n, b in CONTENT.items()}
    return Entry("toy", "A toy", "planetoid", "CC0", url, counts={"nodes": 3}, files=files)


def packed_toy(url: str = "http://127.0.0.1:9/data/") -> Entry:
    """The same content, which may be compressed, in a folder of its own name."""
    files = {n: replace(info, gzipped=True) for n, info in toy().files.items()}
    return replace(toy(url), kind="idx", files=files, folder="toys")


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["cora", "citeseer", "pubmed"])
def test_planetoid_sets_are_pinned_to_a_commit_and_a_sha256_for_each_of_eight_files(name):
    known = catalogue()[name]
    assert re.fullmatch(r"https://[\w./-]+/[0-9a-f]{40}/data/", known.url)
    parts = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
    assert set(known.files) == {f"ind.{name}.{part}" for part in parts}
    for info in known.files.values():
        assert re.fullmatch("[0-9a-f]{64}", info.sha256)
        assert info.bytes > 0


def test_the_embedded_graph_has_a_path_and_nothing_to_download():
    stdlib = entry("stdlib")
    assert stdlib.path is not None
    assert stdlib.path.parts[-2:] == ("stdlib", "stdlib.npz")
    assert missing(stdlib) == []


def test_entry_does_not_mind_capitals():
    assert entry("Cora") == entry("cora")


def test_an_unknown_name_is_answered_with_the_known_and_the_nearest():
    with pytest.raises(DataError, match=r"citeseer, pubmed.*Did you mean citeseer\?") as caught:
        entry("citeser")
    assert caught.value.code == "UNKNOWN_DATASET"


def test_data_home_is_where_the_environment_says(home):
    assert data_home() == home


def test_files_are_found_in_the_folder_of_the_kind_and_then_in_the_home(home):
    plain = put(home / "a.bin", b"")
    assert locate(toy()) == {"a.bin": plain}
    nested = put(home / "planetoid" / "a.bin", b"")
    assert locate(toy()) == {"a.bin": nested}
    assert missing(toy()) == ["b.bin"]


def test_a_folder_is_not_a_file(home):
    (home / "a.bin").mkdir(parents=True)
    assert "a.bin" in missing(toy())


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (CONTENT["a.bin"], "ok"),
        (CONTENT["a.bin"][:-1], "damaged"),
        (CONTENT["a.bin"][:-1] + b"!", "damaged"),
        (None, "missing"),
    ],
)
def test_verify_tells_intact_from_damaged_from_missing(home, content, status):
    if content is not None:
        put(home / "a.bin", content)
    assert verify(toy()) == {"a.bin": status, "b.bin": "missing"}


def test_fetch_downloads_what_is_missing_and_says_nothing(home, server, capfd):
    paths = fetch(toy(server.url))
    assert {name: path.read_bytes() for name, path in paths.items()} == CONTENT
    assert all(path.parent == home / "planetoid" for path in paths.values())
    assert files_in(home) == set(CONTENT)
    assert capfd.readouterr() == ("", "")


def test_fetch_does_not_download_what_is_there(home, server):
    there = put(home / "a.bin", CONTENT["a.bin"])
    assert fetch(toy(server.url))["a.bin"] == there
    assert server.asked == ["b.bin"]
    fetch(toy(server.url))
    assert server.asked == ["b.bin"]


def test_fetch_downloads_only_the_names_asked_for(home, server):
    assert set(fetch(toy(server.url), names=["b.bin"])) == {"b.bin"}
    assert files_in(home) == {"b.bin"}


def test_a_second_attempt_heals_a_first_that_failed(home, server):
    full = server.answers["a.bin"]
    server.answers["a.bin"] = (503, b"", 0)
    with pytest.raises(DataError):
        fetch(toy(server.url), retries=0)
    server.answers["a.bin"] = full
    assert set(fetch(toy(server.url))) == set(CONTENT)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param((404, b"", 0), "OFFLINE", id="not found"),
        pytest.param((429, LOGIN_PAGE, len(LOGIN_PAGE)), "OFFLINE", id="too many requests"),
        pytest.param((200, CONTENT["b.bin"][:70], 550), "OFFLINE", id="cut short"),
        pytest.param((200, CONTENT["b.bin"][:70], 70), "CHECKSUM", id="short"),
        pytest.param((200, LOGIN_PAGE, len(LOGIN_PAGE)), "CHECKSUM", id="login page"),
        pytest.param((200, b"", 0), "CHECKSUM", id="empty"),
        pytest.param((200, CONTENT["b.bin"] + b"!", 551), "CHECKSUM", id="long"),
    ],
)
def test_a_bad_answer_is_one_error_and_leaves_nothing(home, server, answer, code):
    server.answers["b.bin"] = answer
    with pytest.raises(DataError) as caught:
        fetch(toy(server.url), retries=0)
    assert caught.value.code == code
    assert "a.bin " not in str(caught.value)
    assert files_in(home) == {"a.bin"}


@pytest.mark.parametrize("offline", ["set", "no server"])
def test_offline_says_what_to_put_where(home, monkeypatch, offline):
    if offline == "set":
        monkeypatch.setenv("VGAE_OFFLINE", "1")
    put(home / "a.bin", CONTENT["a.bin"])
    with pytest.raises(DataError) as caught:
        fetch(toy(), retries=0)
    first, *rest = str(caught.value).splitlines()
    assert caught.value.code == "OFFLINE"
    assert "1 file is missing" in first
    assert str(home / "planetoid") in first
    digest = hashlib.sha256(CONTENT["b.bin"]).hexdigest()
    assert rest == [f"  b.bin  550 bytes  sha256 {digest}  http://127.0.0.1:9/data/b.bin"]


def test_offline_is_no_error_where_all_is_there(home, monkeypatch):
    monkeypatch.setenv("VGAE_OFFLINE", "1")
    for name, content in CONTENT.items():
        put(home / name, content)
    assert set(fetch(toy())) == set(CONTENT)


def test_a_home_that_cannot_be_made_is_an_error_with_the_list(home):
    put(home, b"a file where the folder must be")
    with pytest.raises(DataError, match=r"2 files are missing") as caught:
        fetch(toy(), retries=0)
    assert caught.value.code == "OFFLINE"


def test_a_damaged_file_is_reported_and_left_alone(home, server):
    path = put(home / "planetoid" / "a.bin", b"wrong")
    with pytest.raises(DataError, match=r"delete it and run `vgae datasets fetch toy`") as caught:
        fetch(toy(server.url))
    message = str(caught.value)
    assert caught.value.code == "CHECKSUM"
    assert str(path) in message
    assert hashlib.sha256(b"wrong").hexdigest() in message
    assert hashlib.sha256(CONTENT["a.bin"]).hexdigest() in message
    assert path.read_bytes() == b"wrong"
    assert server.asked == []


def test_a_file_that_may_be_compressed_is_found_in_either_form_in_the_folder_of_the_set(home):
    packed = put(home / "toys" / "a.bin.gz", b"")
    put(home / "b.bin.gz", b"")
    assert locate(packed_toy()) == {"a.bin": packed, "b.bin": home / "b.bin.gz"}
    plain = put(home / "toys" / "a.bin", b"")
    assert locate(packed_toy())["a.bin"] == plain
    assert locate(toy()) == {}


@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("name", ["a.bin", "a.bin.gz"])
def test_what_a_compressed_file_holds_is_verified_and_not_its_own_bytes(home, name, level):
    put(home / "toys" / name, gzip.compress(CONTENT["a.bin"], level))
    put(home / "toys" / "b.bin", CONTENT["b.bin"])
    assert verify(packed_toy()) == {"a.bin": "ok", "b.bin": "ok"}
    assert fetch(packed_toy())["a.bin"] == home / "toys" / name


def test_a_file_that_may_not_be_compressed_is_taken_as_it_is(home):
    put(home / "a.bin", gzip.compress(CONTENT["a.bin"]))
    assert verify(toy())["a.bin"] == "damaged"


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        pytest.param(
            gzip.compress(CONTENT["a.bin"])[:-1], "GZIP_CORRUPT", "again", id="cut short"
        ),
        pytest.param(
            gzip.compress(CONTENT["a.bin"]) + b"!", "GZIP_CORRUPT", "again", id="more after it"
        ),
        pytest.param(
            gzip.compress(CONTENT["b.bin"][:500]),
            "CHECKSUM",
            "expected 500 bytes uncompressed",
            id="another file",
        ),
        pytest.param(
            gzip.compress(bytes(10**8)), "CHECKSUM", "got at least 65536 bytes", id="bomb"
        ),
        pytest.param(
            CONTENT["a.bin"][:-1], "CHECKSUM", "got 499 bytes", id="cut short, not packed"
        ),
    ],
)
def test_a_damaged_compressed_file_is_reported_and_left_alone(home, content, code, words):
    path = put(home / "toys" / "a.bin.gz", content)
    assert verify(packed_toy())["a.bin"] == "damaged"
    with pytest.raises(DataError, match=words) as caught:
        fetch(packed_toy(), retries=0)
    assert caught.value.code == code
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_a_compressed_file_is_downloaded_under_its_own_name_and_verified(home, server, capfd):
    for name, content in CONTENT.items():
        packed = gzip.compress(content)
        server.answers[f"{name}.gz"] = (200, packed, len(packed))
    paths = fetch(packed_toy(server.url))
    assert {name: path.name for name, path in paths.items()} == {n: f"{n}.gz" for n in CONTENT}
    assert all(path.parent == home / "toys" for path in paths.values())
    assert gzip.decompress(paths["b.bin"].read_bytes()) == CONTENT["b.bin"]
    assert verify(packed_toy()) == {"a.bin": "ok", "b.bin": "ok"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(LOGIN_PAGE, id="login page"),
        pytest.param(b"", id="empty"),
        pytest.param(gzip.compress(CONTENT["b.bin"])[:-1], id="cut short"),
        pytest.param(gzip.compress(CONTENT["a.bin"]), id="another file"),
        pytest.param(gzip.compress(CONTENT["b.bin"] + b"!"), id="more in it"),
        pytest.param(gzip.compress(bytes(10**8)), id="bomb"),
        pytest.param(b"!" * 10_000, id="long"),
    ],
)
def test_a_download_that_holds_something_else_leaves_nothing(home, server, body):
    packed = gzip.compress(CONTENT["a.bin"])
    server.answers["a.bin.gz"] = (200, packed, len(packed))
    server.answers["b.bin.gz"] = (200, body, len(body))
    with pytest.raises(DataError) as caught:
        fetch(packed_toy(server.url), retries=0)
    assert caught.value.code == "CHECKSUM"
    assert files_in(home) == {"a.bin.gz"}


def test_offline_says_that_a_file_may_be_compressed(home, monkeypatch):
    monkeypatch.setenv("VGAE_OFFLINE", "1")
    with pytest.raises(DataError) as caught:
        fetch(packed_toy())
    first, *rest = str(caught.value).splitlines()
    assert str(home / "toys") in first
    assert all(
        line.endswith("bin.gz  (compressed or not; size and sha256 uncompressed)") for line in rest
    )


def test_the_sets_of_images_are_told_from_graphs():
    images = {name for name, known in catalogue().items() if known.holds_images}
    assert images == {"mnist", "digits"}


def test_importing_the_catalogue_brings_no_heavy_module():
    code = "import sys, vgae.data.catalog; print({'torch', 'pooch', 'numpy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"

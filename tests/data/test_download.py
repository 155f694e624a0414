"""Downloads from a server of this process."""

import http.server
import threading

import pytest
import requests

from vgae.data.download import download

BODY = bytes(range(256)) * 1000


@pytest.fixture
def url():
    """A server that says how long a file is, or does not."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            length = {"/big.bin": len(BODY), "/liar.bin": 10**30}.get(self.path)
            self.send_response(404 if "gone" in self.path else 200)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["big.bin", "unsaid.bin"])
def test_what_is_sent_is_written_and_shown(url, tmp_path, capsys, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    download(f"{url}/{name}", tmp_path / "f", limit=300_000, progress=True)
    assert (tmp_path / "f").read_bytes() == BODY
    shown = capsys.readouterr().err
    assert "0.3/0.3 MB" in shown
    assert name in shown


def test_more_than_expected_is_not_taken(url, tmp_path):
    with pytest.raises(ValueError, match="more than the 1000 bytes"):
        download(f"{url}/unsaid.bin", tmp_path / "f", limit=1000)


def test_a_server_that_lies_about_the_length_shows_no_more_than_the_limit(
    url, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(requests.exceptions.RequestException):
        download(f"{url}/liar.bin", tmp_path / "f", limit=300_000, progress=True)
    assert "/0.3 MB" in capsys.readouterr().err


def test_what_is_not_there_is_an_error(url, tmp_path):
    with pytest.raises(requests.exceptions.HTTPError):
        download(f"{url}/gone.bin", tmp_path / "f", limit=300_000)

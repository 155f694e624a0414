import os

import pytest

from vgae.runtime.reading import check_regular, parsed_json, read_regular


def test_a_regular_file_is_read_through_links_too(tmp_path):
    (tmp_path / "a").write_bytes(b"\0text")
    (tmp_path / "b").symlink_to("a")
    assert read_regular(tmp_path / "b") == b"\0text"


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "missing"])
def test_what_is_no_file_is_not_waited_for(kind, tmp_path):
    path = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match=r"not a file|No such file"):
        check_regular(path)
    with pytest.raises(OSError, match=r"not a file|No such file"):
        read_regular(path)


def test_json_is_read():
    assert parsed_json(b'{"a": [1, 2.5, null, true, "\\u00e9"]}') == {
        "a": [1, 2.5, None, True, "é"]
    }


@pytest.mark.parametrize(
    "text",
    ["", "{", "NaN", "[Infinity]", "-Infinity", "[" * 100_000, "1" * 5000, b"\xff"],
    ids=range(8),
)
def test_what_is_not_strict_json_is_one_kind_of_error(text):
    with pytest.raises(ValueError, match=r"\w"):
        parsed_json(text)

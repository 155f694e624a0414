import os

import pytest

from vgae.errors import DataError
from vgae.runtime.reading import (
    brief,
    check_regular,
    file_size,
    naming,
    parsed_json,
    read_regular,
)


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


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("folder", "CANNOT_READ", "folder: it is not a file."),
        ("missing", "CANNOT_READ", "missing: No such file or directory."),
        ("nul\0", "CANNOT_READ", "embedded null byte."),
        ("empty", "FILE_EMPTY", "empty: it is empty; download it again."),
    ],
)
def test_the_size_is_that_of_a_file_that_holds_something(name, code, words, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "a").write_bytes(b"abc")
    assert file_size(tmp_path / "a") == 3
    with pytest.raises(DataError) as caught:
        file_size(tmp_path / name)
    assert caught.value.code == code
    assert str(caught.value).endswith(words)


def test_the_path_is_named_once(tmp_path):
    for message in ("it is bad.", f"{tmp_path}: it is bad."):
        with pytest.raises(DataError) as caught, naming(tmp_path):
            raise DataError("CODE", message)
        assert (caught.value.code, str(caught.value)) == ("CODE", f"{tmp_path}: it is bad.")


def test_the_text_of_an_error_is_one_short_printable_line():
    assert (
        brief(ValueError("a\n\x1b[31m\u202e" + "b" * 200))
        == ("a\\n\\x1b[31m\\u202e" + "b" * 200)[:120]
    )
    assert brief(ValueError()) == "ValueError"
    assert brief(OSError(5, "Input/output error", "file")) == "Input/output error"


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


@pytest.mark.parametrize(
    ("name", "near"),
    [("peple.csv", "people.csv"), ("people.tsv", "people.csv"), ("zz.csv", ""), ("no/x.csv", "")],
)
def test_a_missing_file_is_answered_with_the_nearest_one(name, near, tmp_path):
    (tmp_path / "people.csv").write_text("a")
    hint = f" Did you mean '{tmp_path / near}'?" if near else ""
    with pytest.raises(DataError) as caught:
        file_size(tmp_path / name)
    assert str(caught.value).endswith(f"No such file or directory.{hint}")

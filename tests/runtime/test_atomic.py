import errno
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from vgae.errors import ResourceError
from vgae.runtime.atomic import check_writable, exhausted, replacing, writing


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "file.txt"


@pytest.fixture
def umask():
    """Set a umask other than the usual one, and put the old one back."""
    old = os.umask(0o027)
    yield 0o027
    os.umask(old)


def test_on_success_the_new_content_replaces_the_old_and_nothing_is_left(path):
    for content in ("old", "new"):
        with replacing(path) as temporary:
            temporary.write_text(content)
        assert path.read_text() == content
        assert list(path.parent.iterdir()) == [path]


def test_until_the_end_a_reader_sees_the_old_content(path):
    path.parent.mkdir()
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_no_other(error, path):
    path.parent.mkdir()
    path.write_text("old")
    with suppress(error, ResourceError), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_an_exception_leaves_no_file_where_none_was(path):
    with suppress(ResourceError), replacing(path) as temporary:
        temporary.write_text("half")
        raise OSError
    assert list(path.parent.iterdir()) == []


def test_an_exception_of_the_caller_is_passed_on(path):
    with pytest.raises(KeyError, match="lost"), replacing(path):
        raise KeyError("lost")


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "NO_SPACE"), (errno.EFBIG, "NO_SPACE"), (errno.EIO, "CANNOT_WRITE")],
)
@pytest.mark.parametrize("call", ["fsync", "open"])
@pytest.mark.row("R04", "R07")
def test_what_the_system_refuses_is_one_named_error(number, code, call, path, monkeypatch):
    """It is not tried again, and nothing is left of it."""
    path.parent.mkdir()
    path.write_text("old")
    calls = []

    def fail(*_):
        calls.append(call)
        raise OSError(number, os.strerror(number))

    def write():
        with replacing(path) as temporary:
            temporary.write_text("new")
            monkeypatch.setattr(os, call, fail)

    with pytest.raises(ResourceError, match=re.escape(str(path))) as caught:
        write()
    assert (caught.value.code, caught.value.exit_code) == (code, 5)
    assert calls == [call]
    monkeypatch.undo()
    # Once the file has its name, only the folder's own entry may be missing on the disk.
    assert path.read_text() == ("old" if call == "fsync" else "new")
    assert list(path.parent.iterdir()) == [path]


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(path, monkeypatch):
    """What a power cut would show and a kill does not: the order of what the system is asked."""
    calls, fsync, replace = [], os.fsync, Path.replace

    def synced(handle):
        calls.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def renamed(self, target):
        calls.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    with replacing(path) as temporary:
        temporary.write_text("text")
    assert calls == ["file", "rename", "folder"]


@pytest.mark.parametrize("old_rights", [None, 0o600])
def test_the_file_has_the_rights_of_a_plain_open(old_rights, path, umask):
    if old_rights is not None:
        path.parent.mkdir()
        path.touch(old_rights)
    with replacing(path) as temporary:
        temporary.write_text("text")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert os.umask(umask) == umask


def test_the_temporary_file_has_the_suffix_and_the_folder_of_the_file(path):
    """Writers choose a format by suffix, and a rename is atomic within a folder only."""
    with replacing(path) as temporary:
        assert temporary.suffix == path.suffix
        assert temporary.parent == path.parent


def test_a_folder_in_the_place_of_the_file_stays_as_it_was(path):
    path.mkdir(parents=True)
    with pytest.raises(ResourceError, match="Is a directory"), replacing(path) as temporary:
        temporary.write_text("text")
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.row("R19")
def test_too_many_open_files_are_found_wherever_they_were_noticed():
    def wrapped():
        try:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/proc/meminfo")
        except OSError as error:
            raise ValueError("no such thing") from error

    with pytest.raises(ValueError, match="no such thing") as caught:
        wrapped()
    found = exhausted(caught.value)
    assert found.code == "NO_FILES"
    assert str(found).startswith("/proc/meminfo cannot be opened: this process may have at most")
    assert exhausted(ImportError(f"lib.so: {os.strerror(errno.EMFILE)}")).code == "NO_FILES"
    system = exhausted(OSError(errno.ENFILE, os.strerror(errno.ENFILE)))
    assert "the system has too many open files" in str(system)
    named = r"x\.txt cannot be opened"
    with pytest.raises(ResourceError, match=named) as caught, writing("x.txt"):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), "other")
    assert exhausted(caught.value) is caught.value
    assert exhausted(ValueError("another")) is None


def test_a_place_that_can_be_written_stays_as_it_is(tmp_path):
    check_writable(tmp_path / "new" / "folder" / "x.csv")
    assert not list(tmp_path.iterdir())
    (tmp_path / "x.csv").write_text("kept")
    check_writable(tmp_path / "x.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    assert (tmp_path / "x.csv").read_text() == "kept"


def test_a_folder_and_a_file_in_place_of_a_folder_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "x.csv"):
        with pytest.raises(ResourceError, match="cannot be written") as caught:
            check_writable(path)
        assert caught.value.code == "CANNOT_WRITE"

import pytest

from vgae.errors import ResourceError
from vgae.runtime.locks import locked_file


def test_a_lock_is_held_once_and_free_afterwards(tmp_path):
    lock = tmp_path / ".lock"
    with locked_file(lock, lambda: "never"):
        with pytest.raises(ResourceError, match="it is taken") as caught:
            locked_file(lock, lambda: "it is taken").__enter__()
        assert caught.value.code == "LOCKED"
    with locked_file(lock, lambda: "never"):
        pass


def test_a_folder_that_is_none_is_named(tmp_path):
    (tmp_path / "none").touch()
    with pytest.raises(ResourceError, match="cannot be written") as caught:
        locked_file(tmp_path / "none" / ".lock", lambda: "never").__enter__()
    assert caught.value.code == "CANNOT_WRITE"

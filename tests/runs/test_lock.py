import json
import platform

import psutil
import pytest

from vgae.errors import ArtifactError, ResourceError
from vgae.runs.lock import holder_of, locked, reserved


def test_a_second_process_is_told_who_holds_the_lock(tmp_path):
    with locked(tmp_path):
        assert holder_of(tmp_path) == "this process"
        with pytest.raises(ResourceError, match="this process is writing in") as caught:
            locked(tmp_path).__enter__()
        assert caught.value.code == "LOCKED"
        assert holder_of(tmp_path) == "this process"  # the refusal has removed nothing
    assert holder_of(tmp_path) is None
    with locked(tmp_path):
        pass


def test_a_process_that_was_killed_holds_nothing(tmp_path):
    me = psutil.Process()
    content = {"pid": me.pid, "started": me.create_time() - 1, "host": platform.node()}
    (tmp_path / ".process.json").write_text(json.dumps(content))
    assert holder_of(tmp_path) is None
    (tmp_path / ".process.json").write_text(json.dumps(content | {"host": "elsewhere"}))
    assert holder_of(tmp_path) == f"process {me.pid} on 'elsewhere'"


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"pid": "x"}', '{"pid": -1, "started": 1, "host": "HOST"}']
)
def test_a_damaged_record_of_the_process_names_none(tmp_path, content):
    (tmp_path / ".process.json").write_text(content.replace("HOST", platform.node()))
    assert holder_of(tmp_path) is None


def test_a_link_in_the_folder_is_refused(tmp_path):
    (tmp_path / "model").symlink_to(tmp_path.parent)
    with pytest.raises(ArtifactError, match="symbolic link"), locked(tmp_path):
        pass


def test_two_at_once_reserve_two_files(tmp_path):
    stem = str(tmp_path / "runs" / "table{x}")
    with reserved(None, stem, ".json") as first, reserved(None, stem, ".json") as second:
        assert [first.name, second.name] == ["table{x}-1.json", "table{x}-2.json"]
        second.write_text("rows")
    with reserved(None, stem, ".json") as again, reserved(None, stem, ".json") as third:
        # The first ended without a row, so that its number is free.
        assert [again.name, third.name] == ["table{x}-1.json", "table{x}-3.json"]


def test_a_file_that_is_being_written_is_not_written_by_another(tmp_path):
    path = tmp_path / "scores.json"
    with reserved(path, "", ""):
        with pytest.raises(ResourceError, match="is writing in"), reserved(path, "", ""):
            pass
        path.write_text("{}")
    with reserved(path, "", "") as found:
        assert found == path

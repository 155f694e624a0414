import json
import resource

import pytest

from vgae.errors import ArtifactError, ResourceError, UsageError
from vgae.runs.folder import (
    FORMAT,
    Output,
    history_file,
    is_named,
    new_folder,
    read_config,
    read_history,
    shown_source,
    source_stem,
)
from vgae.runs.images import IMAGES
from vgae.runs.kind import kind_of
from vgae.training.history import HistoryRow


def test_a_numbered_folder_is_the_next_that_is_not_there(tmp_path):
    output = Output(tmp_path / "run{x}", numbered=True)
    with new_folder(output) as first, new_folder(output) as second:
        assert (first, second) == (tmp_path / "run{x}-1", tmp_path / "run{x}-2")


def test_the_lock_of_a_new_folder_comes_before_the_question_whether_it_is_empty(tmp_path):
    output = Output(tmp_path / "run")
    with new_folder(output):
        with pytest.raises(ResourceError, match="this process is writing in"), new_folder(output):
            pass
        (tmp_path / "run" / "config.json").write_text("{}")
        with pytest.raises(ResourceError) as caught, new_folder(output):
            pass
        assert caught.value.code == "LOCKED"
    with pytest.raises(UsageError) as caught, new_folder(output):
        pass
    assert caught.value.code == "RUN_EXISTS"


def test_a_folder_of_others_gets_no_lock_file(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear")
    for overwrite in (False, True):
        with pytest.raises(UsageError), new_folder(Output(tmp_path, overwrite=overwrite)):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_link_to_a_run_is_not_overwritten(tmp_path):
    run, link = tmp_path / "run", tmp_path / "link"
    run.mkdir()
    (run / "config.json").write_text(json.dumps({"format": FORMAT}))
    link.symlink_to(run)
    with pytest.raises(UsageError, match="is a symbolic link"):
        new_folder(Output(link, overwrite=True)).__enter__()
    assert (run / "config.json").exists()


def test_an_error_in_a_new_folder_is_not_one_of_the_folder(tmp_path):
    with pytest.raises(FileExistsError), new_folder(Output(tmp_path / "a")):
        raise FileExistsError
    with pytest.raises(FileExistsError), new_folder(Output(tmp_path / "b", numbered=True)):
        raise FileExistsError


def test_a_history_comes_back_row_by_row(tmp_path):
    rows = [HistoryRow(1, 0.5, 10.0, 2.0), HistoryRow(2, 0.4, 9.0, 2.5, val_elbo=-11.5)]
    with history_file(tmp_path) as write:
        write(rows[0])
        assert read_history(tmp_path) == rows[:1]  # it is on the disk at once
        write(rows[1])
    assert read_history(tmp_path) == rows


@pytest.mark.row("R04")
@pytest.mark.parametrize("size", [0, 100])
def test_a_history_that_the_disk_does_not_take_is_named(size, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(ResourceError, match=r"history\.jsonl cannot be written .*; make room"):
            write_history(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def write_history(folder):
    with history_file(folder) as write:
        for epoch in range(1, 9):
            write(HistoryRow(epoch, 0.5, 10.0, 2.0))


def test_a_training_that_is_refused_leaves_the_history_of_the_one_before(tmp_path):
    rows = [HistoryRow(1, 0.5, 10.0, 2.0)]
    with history_file(tmp_path) as write:
        write(rows[0])
    with pytest.raises(ArtifactError), history_file(tmp_path):
        raise ArtifactError("CKPT_OTHER", "of another training")
    assert read_history(tmp_path) == rows
    with history_file(tmp_path):
        pass  # a training of no epoch
    assert read_history(tmp_path) == []


def test_a_history_that_is_none_is_one_error(tmp_path):
    (tmp_path / "history.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(ArtifactError, match=r"history\.jsonl"):
        read_history(tmp_path)


def test_the_configuration_says_what_kind_of_run_it_is(tmp_path):
    content = {"format": FORMAT, "images": {}, "model": "vae"}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert kind_of(tmp_path) is IMAGES
    assert read_config(tmp_path, {"images": dict, "model": str}) == content
    with pytest.raises(ArtifactError, match="lacks graph"):
        read_config(tmp_path, {"graph": dict, "model": str})
    (tmp_path / "config.json").write_text(json.dumps(content | {"format": "vgae-run-9"}))
    with pytest.raises(ArtifactError, match="this version reads"):
        read_config(tmp_path, {"images": dict})


def test_a_name_has_no_suffix_and_no_folder():
    assert is_named("cora")
    assert not any(map(is_named, ("cora.npz", "data/cora", "./cora")))
    assert all(map(is_named, ("pyg:Planetoid/Cora", "ogb:ogbl-collab")))


@pytest.mark.parametrize(
    ("source", "shown", "stem"),
    [
        ("cora", "cora", "cora"),
        ("data/a.csv.gz", "a.csv.gz", "a"),
        ("pyg:Planetoid/Cora", "pyg:Planetoid/Cora", "pyg-Planetoid-Cora"),
        ("data/raw", "./raw", "raw"),
    ],
)
def test_what_of_a_source_is_shown_and_names_a_run(source, shown, stem):
    assert (shown_source(source), source_stem(source)) == (shown, stem)

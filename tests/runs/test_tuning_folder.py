import json

import pytest

from vgae.errors import ArtifactError, ResourceError, UsageError
from vgae.evaluation.metrics import LinkScores
from vgae.runs.trial_sampler import Candidate
from vgae.runs.tuning_folder import TuningStore, read_tuning

CONFIG = {"seed": 0, "device": "cpu", "threads": 1, "versions": {}, "space": {"lr": "0.1:0.2"}}
TRIAL = Candidate(0, {"lr": 0.15}, [LinkScores(0.1 + 0.2, 0.7)])


def opened(folder, config=CONFIG, *, resume=True):
    return TuningStore.opened(folder, config, resume=resume)


def test_trials_come_back_bit_for_bit(tmp_path):
    with opened(tmp_path / "a") as store:
        store.write([TRIAL], {"best": LinkScores(0.5, 0.6)})
    with opened(tmp_path / "a") as store:
        assert store.trials == [TRIAL]
    content = read_tuning(tmp_path / "a")
    assert content["check"] == {"best": {"auc": 0.5, "ap": 0.6}}
    assert content["seed"] == 0


def test_two_processes_do_not_write_in_one_folder(tmp_path):
    with opened(tmp_path / "a"), pytest.raises(ResourceError, match="is writing in"):
        opened(tmp_path / "a").__enter__()


def test_what_was_in_a_folder_stays(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(UsageError, match=r"is not empty; choose another folder"):
            opened(tmp_path, resume=resume).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "mine.txt").unlink()
    with opened(tmp_path, resume=False) as store:
        assert store.trials == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        opened(tmp_path / "file" / "a").__enter__()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"format": "other"}, "RUN_FORMAT"),
        ({"seed": 5}, "RUN_OTHER"),
        ({"space": {"lr": "0.1:0.3"}}, "RUN_OTHER"),
        ({"space": {}}, "RUN_OTHER"),
        ({"trials": [{"number": 0}]}, "RUN_CORRUPT"),
        ({"trials": 3}, "RUN_CORRUPT"),
        ({"trials": [{"number": 0, "settings": 1, "scores": []}]}, "RUN_CORRUPT"),
    ],
)
def test_files_of_something_else_are_refused(changes, code, tmp_path):
    with opened(tmp_path / "a") as store:
        store.write([TRIAL])
    path = tmp_path / "a" / "tuning.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ArtifactError) as error:
        opened(tmp_path / "a").__enter__()
    assert error.value.code == code
    path.write_text("{")
    with pytest.raises(ArtifactError):
        opened(tmp_path / "a").__enter__()

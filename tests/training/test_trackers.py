"""Trackers are told each epoch once, and the scores, also of a run that goes on."""

import json
import os
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest

from vgae.errors import ResourceError, UsageError
from vgae.recipes import PAPER
from vgae.runs.folder import Output
from vgae.runs.graphs import train_run
from vgae.runs.lifecycle import resume
from vgae.training.history import HistoryRow
from vgae.training.trackers import checked_trackers, tracking

SHORT = replace(PAPER, epochs=4, eval_every=2)


class Own:
    """A tracker as a user writes one."""

    name = "own"

    def __init__(self):
        self.runs, self.rows, self.ends = [], [], []

    def begin(self, run):
        self.runs.append(run)
        return "key"

    def row(self, row):
        self.rows.append(row)

    def end(self, scores, *, finished):
        self.ends.append((dict(scores), finished))


def test_a_tracker_of_ones_own_is_told_all(sbm_file, tmp_path):
    own, folder = Own(), tmp_path / "run"
    run = train_run(str(sbm_file), Output(folder, track=[own]), recipe=SHORT, progress=False)
    assert own.rows == run.history
    (begun,) = own.runs
    assert (begun.folder, begun.last_epoch, begun.key) == (folder, 0, None)
    assert begun.settings["recipe.epochs"] == 4
    assert begun.settings["data"] == "sbm"
    assert not [v for v in begun.settings.values() if str(sbm_file.parent) in str(v)]
    ((scores, finished),) = own.ends
    assert finished
    assert scores["test.auc"] == run.metrics["test"]["auc"]
    # A run that is continued is told that it was begun.
    (folder / "metrics.json").unlink()
    again = Own()
    resume(folder, track=[again], progress=False)
    assert (again.runs[0].last_epoch, again.runs[0].key) == (4, "key")
    assert again.rows == run.history


def test_an_interrupted_training_is_told_as_such(tmp_path):
    own = Own()

    def interrupted():
        with tracking(tmp_path, {}, [own]) as told:
            told.row(HistoryRow(1, 1.0, 1.0, 0.0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert own.ends == [({}, False)]


class Mlflow(ModuleType):
    """What is used of MLflow, in memory."""

    def __init__(self):
        super().__init__("mlflow")
        self.logged, self.status, self.params, self.fails = [], [], {}, False
        self.MlflowClient = lambda: self
        self.entities = ModuleType("mlflow.entities")
        self.entities.Metric = lambda key, value, timestamp, step: (key, value, step)
        self.entities.Param = lambda key, value: (key, value)

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        return name

    def create_run(self, experiment, run_name):
        return SimpleNamespace(info=SimpleNamespace(run_id=f"{experiment}/{run_name}"))

    def update_run(self, key, status):
        self.status.append((key, status))

    def set_terminated(self, key, status):
        self.status.append((key, status))

    def get_metric_history(self, key, name):
        return [SimpleNamespace(step=step) for k, _, step in self.logged if k == name]

    def log_batch(self, key, metrics, params):
        if self.fails:
            raise RuntimeError("the server is gone.\nmore")
        self.logged += metrics
        self.params |= dict(params)


class Wandb(ModuleType):
    """What is used of W&B, in memory."""

    def __init__(self):
        super().__init__("wandb")
        self.begun, self.logged, self.summary, self.codes = [], [], {}, []

    def init(self, **options):
        self.begun.append(options)
        return self

    def define_metric(self, name, step_metric):
        assert (name, step_metric) == ("*", "epoch")

    def log(self, values):
        self.logged.append(values)

    def finish(self, exit_code):
        self.codes.append(exit_code)


@pytest.fixture
def mlflow(monkeypatch):
    found = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", found)
    monkeypatch.setitem(sys.modules, "mlflow.entities", found.entities)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "trials")
    return found


@pytest.fixture
def wandb(monkeypatch):
    found = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", found)
    monkeypatch.delitem(os.environ, "WANDB_PROJECT", raising=False)
    return found


def test_the_command_tells_mlflow_and_wandb_and_goes_on_there(
    mlflow, wandb, command, sbm_file, tmp_path
):
    folder = tmp_path / "run"
    short = ("--recipe", "paper", "--epochs", 4, "--set", "eval_every=2", "--quiet", "--json")
    named = ("--track", "mlflow", "--track", "wandb")
    status, _, err = command("train", sbm_file, *short, *named, "-o", folder)
    assert status == 0, err
    metrics = json.loads((folder / "metrics.json").read_text())
    keys = json.loads((folder / "trackers.json").read_text())
    assert keys["mlflow"] == "trials/run"
    losses = [step for name, _, step in mlflow.logged if name == "loss"]
    assert losses == [1, 2, 3, 4]
    assert ("test.auc", metrics["test"]["auc"], 0) in mlflow.logged
    assert (mlflow.params["model"], mlflow.params["recipe.epochs"]) == ("vgae", "4")
    assert mlflow.status == [("trials/run", "FINISHED")]
    assert [values["epoch"] for values in wandb.logged] == [1, 2, 3, 4]
    assert "val_auc" not in wandb.logged[0]
    assert wandb.summary["test.auc"] == metrics["test"]["auc"]
    first = wandb.begun[0]
    assert (first["id"], first["project"], first["name"]) == (keys["wandb"], "vgae", "run")
    # As after a kill: MLflow lacks an epoch that was written, and W&B gets the last one again.
    (folder / "metrics.json").unlink()
    mlflow.logged = [one for one in mlflow.logged if one[2] < 4]
    assert command("train", "--resume", folder, "--quiet", "--json")[0] == 0
    assert [step for name, _, step in mlflow.logged if name == "loss"] == [1, 2, 3, 4]
    assert [values["epoch"] for values in wandb.logged] == [1, 2, 3, 4, 4]
    assert wandb.begun[1]["id"] == first["id"]
    assert wandb.codes == [0, 0]


@pytest.mark.row("R41")
def test_a_tracker_that_fails_is_one_line_and_the_run_goes_on_later(
    mlflow, command, sbm_file, tmp_path
):
    folder = tmp_path / "run"
    mlflow.fails = True
    short = ("--recipe", "paper", "--epochs", 2, "--quiet", "--track", "mlflow")
    status, _, err = command("train", sbm_file, *short, "-o", folder)
    assert status != 0
    assert "error[TRACK]: mlflow: the server is gone; mend that and go on with" in err
    mlflow.fails = False
    assert command("train", "--resume", folder, "--quiet", "--track", "mlflow")[0] == 0
    assert mlflow.status[-1][1] == "FINISHED"


@pytest.mark.row("R41")
def test_unknown_names_and_packages_are_refused_before_the_folder(command, sbm_file, tmp_path):
    status, _, err = command("train", sbm_file, "--track", "mlfow", "-o", tmp_path / "run")
    assert (status, "Did you mean mlflow?" in err) == (2, True)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="has no begin"):
        checked_trackers([SimpleNamespace(name="x")])


@pytest.mark.row("R41")
@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_without_the_package_the_error_says_how_to_install_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=rf"pip install 'vgae\[{name}\]'"):
        checked_trackers([name])


@pytest.mark.row("R41")
@pytest.mark.parametrize("content", ["{", "[1]", "null"])
def test_a_damaged_file_of_keys_is_told(content, tmp_path):
    (tmp_path / "trackers.json").write_text(content)
    with (
        pytest.raises(ResourceError, match=r"trackers\.json is damaged"),
        tracking(tmp_path, {}, []),
    ):
        pass

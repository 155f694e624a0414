"""What is logged is read back as TensorBoard reads it."""

import sys
from dataclasses import replace

import pytest

import vgae
from vgae.errors import ResourceError, UsageError
from vgae.recipes import PAPER
from vgae.runs.folder import Output
from vgae.runs.graphs import train_run
from vgae.runs.lifecycle import resume
from vgae.training.history import HistoryRow
from vgae.training.tensorboard import tensorboard_log

pytest.importorskip("tensorboard")
SHORT = replace(PAPER, epochs=6, eval_every=2)


def scalars(folder):
    """Every scalar by its name, as (epoch, value)."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def expected(history):
    names = [name for name in HistoryRow._fields if name != "epoch"]
    found = {
        name: [
            (row.epoch, pytest.approx(getattr(row, name)))
            for row in history
            if getattr(row, name) is not None
        ]
        for name in names
    }
    return {name: rows for name, rows in found.items() if rows}


def test_every_number_of_a_training_is_a_scalar_of_its_epoch(sbm, tmp_path):
    split = vgae.split_links(sbm, seed=0)
    with tensorboard_log(tmp_path / "logs") as on_row:
        result = vgae.fit(sbm, split, recipe=SHORT, on_row=on_row, progress=False)
    found = scalars(tmp_path / "logs")
    assert found == expected(result.history)
    assert found.keys() == {"loss", "recon", "kl", "val_auc", "val_ap"}
    assert [step for step, _ in found["val_auc"]] == [2, 4, 6]


def test_a_run_that_goes_on_has_each_epoch_once(sbm_file, tmp_path):
    folder = tmp_path / "run"
    logged = train_run(
        str(sbm_file), Output(folder, tensorboard=True), recipe=SHORT, progress=False
    )
    assert scalars(folder / "tensorboard") == expected(logged.history)
    # As after a kill: what comes last is not there yet.
    (folder / "metrics.json").unlink()
    resumed = resume(folder, progress=False)
    assert len(list((folder / "tensorboard").iterdir())) == 2
    assert scalars(folder / "tensorboard") == expected(resumed.history)


def test_an_epoch_that_is_told_again_takes_the_place_of_the_old_one(tmp_path):
    for last in (5, 3):
        with tensorboard_log(tmp_path) as write:
            for epoch in range(1, last + 1):
                write(HistoryRow(epoch, float(last), 1.0, 0.0))
    assert scalars(tmp_path)["loss"] == [(1, 3), (2, 3), (3, 3)]


def test_without_being_asked_nothing_is_logged(sbm_file, tmp_path):
    train_run(str(sbm_file), tmp_path / "run", recipe=replace(SHORT, epochs=1), progress=False)
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_without_tensorboard_the_error_says_how_to_install_it(
    sbm_file, tmp_path, monkeypatch, command
):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    logged = tensorboard_log(tmp_path / "logs")
    with pytest.raises(UsageError, match=r"pip install 'vgae\[tensorboard\]'"), logged:
        pass
    status, out, err = command("train", sbm_file, "-o", tmp_path / "run", "--tensorboard")
    assert (status, out) == (2, "")
    assert "error[MISSING_PACKAGE]" in err
    assert not (tmp_path / "run").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with tensorboard_log("/dev/null/logs") as write, pytest.raises(ResourceError, match="logs"):
        write(HistoryRow(1, 1.0, 1.0, 0.0))


@pytest.mark.parametrize("data", ["digits", "graph"])
def test_the_command_logs_into_the_run(command, sbm_file, tmp_path, data):
    source = sbm_file if data == "graph" else data
    folder = tmp_path / "run"
    options = ("--epochs", 1, "--tensorboard", "--quiet", "--json", "-o", folder)
    status, _, _ = command("train", source, *options)
    assert status == 0
    names = {"loss", "recon", "kl"} | ({"val_elbo"} if data == "digits" else {"val_auc", "val_ap"})
    assert scalars(folder / "tensorboard").keys() == names

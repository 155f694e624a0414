"""A run belongs to a job of torchrun, which finds it again."""

import json

import pytest

from vgae.runs.jobs import begun_before, note_job


@pytest.fixture
def restarted(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")


def begun(folder):
    folder.mkdir()
    note_job(folder)
    (folder / "config.json").write_text("{}")
    return folder


def test_a_job_finds_the_run_that_it_began_last(restarted, tmp_path):
    place = tmp_path / "graph"
    assert begun_before(place, numbered=True) is None
    first, second = begun(tmp_path / "graph-vgae-1"), begun(tmp_path / "graph-vgae-2")
    assert begun_before(place, numbered=True) == second
    assert begun_before(first, numbered=False) == first
    (second / ".job.json").write_text(json.dumps({"id": "none", "agent": ["other", 1, 0.0]}))
    assert begun_before(place, numbered=True) == first
    assert begun_before(second, numbered=False) is None


def test_a_named_job_finds_its_run_from_another_machine_until_it_is_finished(
    restarted, monkeypatch, tmp_path
):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job-7")
    folder = begun(tmp_path / "run")
    (folder / ".job.json").write_text(json.dumps({"id": "job-7", "agent": ["other", 1, 0.0]}))
    assert begun_before(folder, numbered=False) == folder
    (folder / "metrics.json").write_text("{}")
    assert begun_before(folder, numbered=False) is None


def test_without_torchrun_or_a_restart_there_is_none(restarted, monkeypatch, tmp_path):
    folder = begun(tmp_path / "run")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    assert begun_before(folder, numbered=False) is None
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    note_job(other := tmp_path / "other")
    assert not other.exists()

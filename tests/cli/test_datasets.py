"""The commands of the catalogue, in this process."""

import json

import pytest


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("VGAE_DATA", str(tmp_path))
    return tmp_path


def test_datasets_are_listed_with_what_is_missing(home, command):
    assert "8 files missing" in command("datasets", "list")[1]
    rows = json.loads(command("datasets", "list", "--json")[1])
    assert {row["name"]: len(row["missing"]) for row in rows} == {
        "cora": 8,
        "citeseer": 8,
        "pubmed": 8,
        "stdlib": 0,
        "mnist": 4,
        "digits": 0,
    }


def test_verify_tells_a_damaged_file_by_its_exit_status(home, command):
    (home / "planetoid").mkdir()
    (home / "planetoid" / "ind.cora.x").write_bytes(b"cut short")
    status, out, _ = command("datasets", "verify", "cora")
    assert status == 3
    assert "damaged" in out

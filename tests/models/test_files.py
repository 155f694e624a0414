"""Weights and JSON by themselves; as parts of a run they are in test_run.py."""

import json

import pytest
import torch

from vgae.models.files import read_json, save_weights, write_json


def test_equal_weights_are_equal_bytes_in_whatever_order(tmp_path):
    a, b = torch.arange(6.0).reshape(2, 3).T, torch.ones(2)
    save_weights(tmp_path / "1", {"a": a, "b": b})
    save_weights(tmp_path / "2", {"b": b.clone(), "a": a.contiguous()})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_json_is_strict_and_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "x.json", {"a": "é"})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"a": "é"}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert read_json(tmp_path / "x.json") == {"a": "é"}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]

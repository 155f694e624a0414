"""A checkpoint comes back bit for bit, or is refused as a whole with one typed error."""

import json
import logging
import os
import stat
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from vgae.errors import ArtifactError
from vgae.training.checkpoint import Checkpoint, Checkpoints, read_checkpoint, write_checkpoint

VALUES = {"epoch": 7, "rows": [[1, 0.1, None]], "é": "ü", "true": True}


@pytest.fixture
def tensors(generator):
    return {
        "a": torch.randn(3, 4, generator=generator).T,  # not contiguous
        "b": torch.tensor([2**62 + 1, -1]),
        "c": torch.tensor([torch.nan, torch.inf, -0.0], dtype=torch.float64),
        "d": torch.empty(0, 5),
        "e": torch.tensor(True),
        "f": generator.get_state(),
    }


def test_values_and_tensors_come_back_bit_for_bit(tmp_path, tensors):
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, Checkpoint(VALUES, tensors))
    back = read_checkpoint(path)
    assert back.values == VALUES
    assert back.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back.tensors[name].dtype == tensor.dtype
        assert back.tensors[name].shape == tensor.shape
        assert back.tensors[name].numpy().tobytes() == tensor.contiguous().numpy().tobytes()
    assert [file.name for file in tmp_path.iterdir()] == ["a.ckpt"]


@pytest.mark.row("C05")
def test_a_checkpoint_of_each_format_that_was_released_is_still_read():
    """The files were written once and are never written again."""
    golden = sorted((Path(__file__).parents[1] / "golden").glob("format-*.ckpt"))
    assert golden
    for path in golden:
        back = read_checkpoint(path)
        assert back.values["history"] == [[1, 0.5, 0.25, 0.125, None, None, None]]
        assert torch.equal(back.tensors["model/weight"], torch.arange(6.0).reshape(2, 3))
        assert back.tensors["generator/noise"].dtype == torch.uint8


def test_equal_checkpoints_are_equal_bytes(tmp_path, tensors):
    write_checkpoint(tmp_path / "1", Checkpoint(VALUES, tensors))
    reverse = dict(reversed(tensors.items()))
    write_checkpoint(tmp_path / "2", Checkpoint(dict(reversed(VALUES.items())), reverse))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_each_bit_flipped_and_each_truncation_is_refused(tmp_path):
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, Checkpoint({"epoch": 1}, {"w": torch.arange(20.0)}))
    content = path.read_bytes()
    damaged = tmp_path / "damaged.ckpt"

    def refused(data):
        damaged.write_bytes(data)
        with pytest.raises(ArtifactError) as caught:
            read_checkpoint(damaged)
        assert caught.value.code in ("CKPT_CORRUPT", "NOT_A_CHECKPOINT")
        return 1

    flips = sum(
        refused(content[:k] + bytes([content[k] ^ 1 << bit]) + content[k + 1 :])
        for k in range(len(content))
        for bit in range(8)
    )
    cuts = sum(refused(content[:k]) for k in range(len(content)))
    assert (flips, cuts) == (8 * len(content), len(content))
    refused(content + b"\0")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"", "NOT_A_CHECKPOINT", id="C03-empty"),
        pytest.param(bytes(1000), "NOT_A_CHECKPOINT", id="C03-zeros"),
        pytest.param(b"\xff\xd8\xff\xe0" * 99, "NOT_A_CHECKPOINT", id="C03-jpeg"),
        pytest.param(b"\x80\x04cos\nsystem\n(S'touch x'\ntR.", "NOT_A_CHECKPOINT", id="C13"),
        pytest.param(b"VGAECKPT", "CKPT_CORRUPT", id="C01"),
        pytest.param(b"VGAECKPT" + struct.pack("<Q", 2**63) + bytes(32), "CKPT_CORRUPT", id="C14"),
    ],
)
def test_other_files_are_refused(content, code, tmp_path):
    path = tmp_path / "x.ckpt"
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        read_checkpoint(path)
    assert caught.value.code == code


def test_a_later_format_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("vgae.training.checkpoint.FORMAT", 99)
    write_checkpoint(tmp_path / "x.ckpt", Checkpoint({"epoch": 1}))
    monkeypatch.undo()
    with pytest.raises(ArtifactError, match=r"format 99, this version reads 1") as caught:
        read_checkpoint(tmp_path / "x.ckpt")  # C04
    assert caught.value.code == "CKPT_VERSION"


def test_what_is_not_dense_or_not_finite_json_cannot_be_written(tmp_path):
    for checkpoint in (
        Checkpoint({}, {"s": torch.eye(3).to_sparse()}),
        Checkpoint({}, {"c": torch.zeros(2, dtype=torch.complex64)}),
        Checkpoint({"x": np.float32(1)}),
    ):
        with pytest.raises(TypeError):
            write_checkpoint(tmp_path / "x", checkpoint)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_checkpoint(tmp_path / "x", Checkpoint({"x": float("nan")}))
    assert list(tmp_path.iterdir()) == []


def test_bytes_reach_the_disk_before_the_name_and_the_name_after(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def synced(handle):
        calls.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def replaced(*paths):
        calls.append("replace")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    write_checkpoint(tmp_path / "x.ckpt", Checkpoint())
    assert calls == ["file", "replace", "folder"]


def test_the_last_two_are_kept_and_a_damaged_one_is_passed_over(tmp_path, caplog):
    kept = Checkpoints(tmp_path, {"seed": 1, "shape": (2, 3)})
    assert kept.load() is None
    for epoch in (1, 2, 10):
        kept.save(epoch, Checkpoint({"epoch": epoch}))
    newest, before = kept.stored()
    assert (newest.name, before.name) == ("epoch-000000010.ckpt", "epoch-000000002.ckpt")
    assert kept.load().values["epoch"] == 10
    newest.write_bytes(newest.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING, "vgae.training.checkpoint"):
        assert kept.load().values["epoch"] == 2  # C01
    assert "epoch-000000010.ckpt is damaged" in caplog.text
    assert "The training continues from the one before" in caplog.text
    newest.write_bytes(b"")  # C03
    assert kept.load().values["epoch"] == 2
    before.write_bytes(b"VGAECKPT")
    with pytest.raises(ArtifactError, match="remove them to start again"):
        kept.load()


def test_the_checkpoint_of_another_training_is_refused(tmp_path):
    Checkpoints(tmp_path, {"seed": 1, "graph": "abc"}).save(1, Checkpoint())
    with pytest.raises(ArtifactError, match="another graph, seed") as caught:
        Checkpoints(tmp_path, {"graph": "abd", "seed": 2}).load()  # C07, C08
    assert caught.value.code == "CKPT_OTHER"


def test_a_checkpoint_is_due_after_some_seconds(tmp_path, monkeypatch):
    for seconds, due in ((1000, False), (0, True)):
        monkeypatch.setattr("vgae.training.checkpoint.SECONDS", seconds)
        assert Checkpoints(tmp_path, {}).due() is due


def test_the_header_is_json_that_a_person_can_read(tmp_path):
    write_checkpoint(tmp_path / "x", Checkpoint({"epoch": 3}, {"w": torch.ones(2)}))
    content = (tmp_path / "x").read_bytes()
    length = struct.unpack("<Q", content[8:16])[0]
    header = json.loads(content[16 : 16 + length])
    assert header["values"] == {"epoch": 3}
    assert header["tensors"] == [{"name": "w", "dtype": "float32", "shape": [2], "place": 0}]
    assert (16 + length) % 16 == 0

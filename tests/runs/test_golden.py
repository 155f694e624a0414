"""Runs, models and checkpoints that the first version wrote are still read.

The folders of ``tests/golden/runs`` were written once, before the package had folders, on one
thread of a CPU; ``...-interrupted`` is the same training, stopped with a checkpoint.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import vgae
from vgae.models.files import read_json
from vgae.runs.lifecycle import resume
from vgae.runtime.npz import read_arrays

GOLDEN = Path(__file__).parents[1] / "golden" / "runs"
GRAPHS = ["vgae-paper", "vgae-best", "linear-gae-weighted"]
IMAGES = ["vae-mlp", "ae-conv"]


@pytest.fixture
def folder(request, tmp_path):
    """A copy of a folder, whose graph is found where the copy is."""
    copy = tmp_path / request.param
    shutil.copytree(GOLDEN / request.param, copy)
    config = json.loads((copy / "config.json").read_text())
    if "graph" in config:
        config["graph"]["source"] = str(GOLDEN / config["graph"]["source"])
        (copy / "config.json").write_text(json.dumps(config))
    return copy


def assert_near(left, right):
    np.testing.assert_allclose(left, right, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("folder", GRAPHS, indirect=True)
def test_a_run_on_a_graph_is_read(folder):
    run = vgae.load_run(folder)
    stored = read_arrays(folder / "embeddings.npz")
    q = vgae.embed(run, run.graph, run.split.message_edge_index)
    assert_near(q.mu, stored["mu"])
    scores = vgae.evaluate(run.model, run.graph, run.split, calibration=run.calibration)
    for part in ("val", "test"):
        assert_near(scores[part].auc, run.metrics[part]["auc"])
        assert_near(scores[part].calibrated.scores.ece, run.metrics[part]["calibrated"]["ece"])


@pytest.mark.parametrize("folder", IMAGES, indirect=True)
def test_a_run_on_images_is_read(folder):
    run = vgae.load_run(folder)
    stored = read_arrays(folder / "embeddings.npz")
    assert_near(vgae.embed_images(run.model, run.images.test).mu, stored["mu"])


@pytest.mark.parametrize("folder", [*GRAPHS, *IMAGES], indirect=True)
def test_a_model_is_read_and_written_again_with_the_same_weights(folder, tmp_path):
    model = vgae.from_pretrained(folder / "model")
    vgae.save_pretrained(model, tmp_path / "again")
    weights = (tmp_path / "again" / "model.safetensors").read_bytes()
    assert weights == (folder / "model" / "model.safetensors").read_bytes()
    old, new = (read_json(path / "config.json") for path in (folder / "model", tmp_path / "again"))
    if "recipe" not in old:
        assert new == old


@pytest.mark.parametrize("folder", [f"{n}-interrupted" for n in GRAPHS + IMAGES], indirect=True)
def test_a_checkpoint_is_resumed_to_the_weights_of_the_whole_training(folder):
    run = resume(folder, device="cpu", progress=False)
    whole = vgae.from_pretrained(GOLDEN / folder.name.removesuffix("-interrupted") / "model")
    assert [row.epoch for row in run.history] == list(range(1, len(run.history) + 1))
    weights = run.model.state_dict()
    assert weights.keys() == whole.state_dict().keys()
    for name, value in whole.state_dict().items():
        assert_near(weights[name], value)


def test_weights_of_models_have_the_names_of_the_first_version():
    names = {
        "vgae-paper": ["weight0", "weight1"],
        "vgae-best": ["bias0", "bias1", "degree_weight", "feature_scale", "weight0", "weight1"],
        "linear-gae-weighted": ["bias", "degree_weight", "weight"],
    }
    for folder, expected in names.items():
        encoder = vgae.from_pretrained(GOLDEN / folder / "model").encoder
        assert isinstance(encoder, torch.nn.Module)
        assert sorted(encoder.state_dict()) == expected

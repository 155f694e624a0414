"""The encoder of a run, as a file, does what the run did."""

import dataclasses

import pytest

import vgae
from vgae.errors import UsageError
from vgae.models import tensors
from vgae.recipes import PAPER
from vgae.runs import exports
from vgae.runs.exports import export_run
from vgae.runs.graphs import train_run
from vgae.runs.images import train_image_run


@pytest.fixture
def notes(monkeypatch):
    """The texts that a file gets."""
    found = {}

    def export(*arguments, **options):
        found.update(options.get("metadata", {}))
        return tensors.export_encoder(*arguments, **options)

    monkeypatch.setattr(exports, "export_encoder", export)
    return found


def test_a_run_on_a_graph_is_checked_over_its_training_links(sbm_file, tmp_path, notes):
    recipe = PAPER.override({"epochs": "2"})
    run = train_run(str(sbm_file), tmp_path / "run", recipe=recipe, progress=False)
    found = export_run(vgae.load_run(run.folder), tmp_path / "e.pt2")
    assert found.difference < 1e-5
    assert notes == {
        **{"model": "vgae", "recipe": "paper", "seed": "0"},
        **{"data": "sbm", "features_of_run": "raw"},
    }


def test_a_run_on_images_is_checked_with_its_test_images(tmp_path, notes):
    recipe = dataclasses.replace(vgae.recipes.images.SMALL2D, epochs=1)
    run = train_image_run("digits", tmp_path / "run", recipe=recipe, num_samples=2, progress=False)
    found = export_run(run, tmp_path / "e.pt2")
    assert (found.inputs, found.difference < 1e-5) == (("x",), True)
    assert notes["data"] == "digits"


def test_a_run_on_a_typed_graph_is_refused(tmp_path):
    class Typed:
        messages = ("knows",)

    model = vgae.VAE(vgae.GCNEncoder(3, 4, 2), vgae.InnerProductDecoder())
    model.encoder.messages = Typed.messages
    config = {"typed_graph": {}, "model": "rgcn-vgae", "recipe": {"name": "paper"}, "seed": 0}
    run = vgae.runs.kind.FinishedRun(tmp_path, config, model, [], {})
    with pytest.raises(UsageError, match="list of edges for each relation"):
        export_run(run, tmp_path / "e.pt2")

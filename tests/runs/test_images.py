import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae.errors import ArtifactError, UsageError
from vgae.recipes.images import ImageRecipe
from vgae.runs.commands import EvaluationOptions
from vgae.runs.graphs import GRAPHS
from vgae.runs.images import IMAGES, train_image_run
from vgae.runs.lifecycle import load_run

RECIPE = ImageRecipe(
    name="short", hidden_channels=(16,), latent_channels=2, epochs=3, binarize="static"
)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "bars.npy"
    np.save(path, np.random.default_rng(0).random((200, 6, 6), dtype=np.float32))
    return path


@pytest.fixture
def run(source, tmp_path):
    return train_image_run(
        str(source), tmp_path / "run", recipe=RECIPE, num_samples=3, progress=False
    )


def test_a_run_folder_holds_all_that_was_trained(run):
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        *(
            ".lock",
            ".paths.json",
            "config.json",
            "history.jsonl",
            "metrics.json",
            "model",
            "checkpoints",
        ),
        "embeddings.npz",
    }
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics == run.metrics
    assert metrics["test"]["num_samples"] == 3
    with np.load(run.folder / "embeddings.npz") as arrays:
        assert arrays["mu"].shape == arrays["logvar"].shape == (len(run.images.test), 2)
    config = json.loads((run.folder / "config.json").read_text())
    assert config["images"]["shape"] == [1, 6, 6]
    assert config["recipe"]["name"] == "short"


def test_a_run_comes_back_with_the_images_as_they_were_drawn(run):
    loaded = load_run(run.folder)
    assert loaded.history == run.history
    assert loaded.recipe == RECIPE
    assert set(loaded.images.test.unique().tolist()) == {0, 1}
    assert torch.equal(loaded.images.test, run.images.test)
    assert IMAGES.evaluate(loaded, EvaluationOptions(samples=3)) == {"test": run.metrics["test"]}
    assert repr(loaded).endswith("/run', short)")
    page = loaded._repr_html_()
    assert "test ELBO" in page
    assert f" of {len(run.history)} kept</td>" in page


def test_images_that_changed_are_named(run, source, tmp_path, resign):
    pixels = np.load(source)
    other = tmp_path / "other.npy"
    np.save(other, pixels[::-1])
    config = json.loads((run.folder / "config.json").read_text())
    config["images"]["source"] = str(other)
    (run.folder / "config.json").write_text(json.dumps(config))
    resign(run.folder)
    with pytest.raises(ArtifactError, match=r"other\.npy no longer holds the images"):
        load_run(run.folder).images  # noqa: B018


def test_a_run_of_one_kind_is_not_one_of_the_other(run):
    with pytest.raises(ArtifactError, match="is a run on images, not on a graph"):
        GRAPHS.load(run.folder)


def test_nothing_is_written_where_the_arguments_are_wrong(source, tmp_path):
    with pytest.raises(UsageError, match="no model 'gan'"):
        train_image_run(str(source), tmp_path / "new", model="gan", recipe=RECIPE)
    assert not (tmp_path / "new").exists()


def test_the_last_epoch_is_kept_where_the_recipe_says_so(source, tmp_path):
    last = replace(RECIPE, keep="last")
    run = train_image_run(
        str(source), tmp_path / "run", recipe=last, num_samples=1, progress=False
    )
    assert (run.metrics["kept"], run.metrics["epoch"]) == ("last", 3)


@pytest.mark.row("C23")
@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        *(
            ("images", name, value)
            for name in ("num_train", "num_test")
            for value in ("x", [2], -1)
        ),
        ("images", "num_train", 0),
        ("images", "shape", [1, 6, 7]),
        ("images", "shape", None),
        ("recipe", "latent_channels", 3),
        ("recipe", "latent_channels", [-1]),
        ("recipe", "hidden_channels", [-1]),
    ],
)
def test_a_configuration_of_other_images_or_another_model_is_refused(
    part, name, value, run, resign
):
    path = run.folder / "config.json"
    config = json.loads(path.read_text())
    config[part][name] = value
    path.write_text(json.dumps(config))
    resign(run.folder)
    with pytest.raises(ArtifactError) as caught:
        load_run(run.folder)
    assert caught.value.code == "RUN_CORRUPT"

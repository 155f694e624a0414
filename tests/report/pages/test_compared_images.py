from dataclasses import replace

import numpy as np
import pytest

from vgae.recipes.images import ImageRecipe
from vgae.report.pages.compared_images import compared_images, elbo_of_test, warnings
from vgae.report.pages.compared_runs import NO_BEST
from vgae.runs.images import train_image_run

NAMES = ["one", "two"]
RECIPE = ImageRecipe(name="short", hidden_channels=(8,), latent_channels=2, epochs=1)


@pytest.fixture(scope="module")
def other_run(tmp_path_factory):
    """A poorer model of the digits that ``image_run`` is of."""
    folder = tmp_path_factory.mktemp("runs") / "other"
    return train_image_run("digits", folder, recipe=RECIPE, num_samples=2, progress=False)


def changed(run, **recipe):
    """The run, as if its recipe had been another."""
    config = {**run.config, "recipe": {**run.config["recipe"], **recipe}}
    return replace(run, config=config)


def test_runs_on_the_same_images_are_compared_image_by_image(image_run, other_run):
    found = compared_images([other_run, image_run], NAMES)
    assert found.warnings == []
    assert found.kicker == "2 runs on the images digits"
    elbos = [run.metrics["test"]["elbo"] for run in (other_run, image_run)]
    assert elbos[1] > elbos[0]
    assert found.verdict.startswith("two has the highest test ELBO")
    assert found.verdict.endswith("with 95 % confidence).")
    row = found.scores.rows[1]
    assert row[1][0].startswith(f"★ {elbos[1]:.2f} ±".replace("-", "−"))
    assert row[2].startswith(f"{elbos[1] - elbos[0]:+.2f} (")
    assert found.scores.rows[0][2] == "–"


def test_the_values_are_those_of_the_evaluation_of_the_run(image_run):
    assert elbo_of_test(image_run).mean().item() == pytest.approx(
        image_run.metrics["test"]["elbo"], abs=1e-6
    )


def test_the_same_model_twice_has_no_significant_difference(image_run):
    found = compared_images([image_run, image_run], NAMES)
    assert found.verdict.endswith("the difference is not significant on these test images.")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"likelihood": "normal"}, "had another pixel likelihood, and so another scale"),
        ({"binarize": "static"}, "had other random draws of the pixels"),
    ],
)
def test_scores_on_another_scale_give_a_warning(image_run, change, said):
    found = compared_images([image_run, changed(image_run, **change)], NAMES)
    assert len(found.warnings) == 1
    assert said in found.warnings[0]
    assert found.warnings[0].endswith(" than one. Do not compare these scores.")
    assert found.verdict == NO_BEST
    assert not any("★" in str(row) for row in found.scores.rows)
    assert found.scores.rows[1][2] == "–"


def test_other_images_and_models_give_a_warning(image_run):
    config = image_run.config
    images = replace(
        image_run, config={**config, "images": {**config["images"], "fingerprint": "0"}}
    )
    model = replace(image_run, config={**config, "model": "ae"})
    assert "other test images" in warnings([image_run, images], NAMES)[0]
    assert (
        "another type of model (the ELBO of a plain auto-encoder is no bound)"
        in warnings([image_run, model], NAMES)[0]
    )
    seed = replace(image_run, config={**config, "seed": 1})
    assert warnings([image_run, seed], NAMES) == []
    drawn = [changed(run, binarize="static") for run in (image_run, seed)]
    assert "draws of the pixels" in warnings(drawn, NAMES)[0]


def test_each_run_has_its_curve_and_its_pictures(image_run, other_run):
    found = compared_images([image_run, other_run], NAMES)
    curves = found.charts["validation"].series
    assert [series.name for series in curves] == NAMES
    assert len(curves[0].x) == 4
    assert [name for name, _ in found.pictures] == ["the images", *NAMES]
    assert len({uri for _, uri in found.pictures}) == 3


def test_other_images_have_no_pictures_side_by_side(image_run, tmp_path):
    pixels = np.random.default_rng(0).random((40, 8, 8), dtype=np.float32)
    np.save(tmp_path / "noise.npy", pixels)
    source, folder = str(tmp_path / "noise.npy"), tmp_path / "run"
    run = train_image_run(source, folder, recipe=RECIPE, num_samples=2, progress=False)
    found = compared_images([image_run, run], NAMES)
    assert found.pictures == []
    assert found.kicker == "2 runs on the images digits, noise"
    assert "other test images" in found.warnings[0]


def test_without_test_images_there_is_nothing_to_compare(tmp_path):
    np.save(tmp_path / "few.npy", np.random.default_rng(0).random((7, 4, 4), dtype=np.float32))
    runs = [
        train_image_run(
            str(tmp_path / "few.npy"), tmp_path / f"run-{k}", recipe=RECIPE, seed=k, progress=False
        )
        for k in range(2)
    ]
    found = compared_images(runs, NAMES)
    assert found.verdict == NO_BEST
    assert found.charts == {}
    assert found.pictures == []

import base64
import json
import math
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae.errors import ArtifactError
from vgae.models.embedding import embed_images
from vgae.recipes.images import IMAGE_RECIPES, ImageRecipe
from vgae.report.pages import frame as page
from vgae.report.pages import images as module
from vgae.report.pages.images import (
    command,
    explorer_data,
    headline,
    image_page,
    map_data,
    settings,
    shown_images,
    stills,
    verdict,
)
from vgae.runs.images import train_image_run
from vgae.runs.lifecycle import load_run

TINY = ImageRecipe(name="tiny", hidden_channels=(8,), latent_channels=2, epochs=1)


@pytest.fixture
def quick(monkeypatch):
    """Pages without the library, and without figures, which take most of the time."""

    def write(folder, *_):
        folder.mkdir()
        for name in ("training.png", "latent.png"):
            (folder / name).write_bytes(b"")

    monkeypatch.setattr(page, "plotly_js", lambda: "0")
    monkeypatch.setattr(module, "write_image_figures", write)


def train(tmp_path, pixels, *, recipe=TINY, name="pixels.npy", **options):
    np.save(tmp_path / name, pixels)
    source, folder = str(tmp_path / name), tmp_path / "run"
    return train_image_run(source, folder, recipe=recipe, num_samples=2, progress=False, **options)


def unpack(array):
    kind = {"f4": "<f4", "i4": "<i4"}[array["type"]]
    return np.frombuffer(base64.b64decode(array["base64"]), kind)


def data_of(html):
    return json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])


def facts_of(html):
    found = re.search(r'<dl class="facts">(.*?)</dl>', html, re.DOTALL)[1]
    return dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", found))


def test_the_page_has_each_part_once_and_is_the_same_each_time(image_run, quick):
    html = image_page(image_run)
    assert html == image_page(load_run(image_run.folder))
    for anchor in ("summary", "learning", "quality", "space", "explore", "repeat"):
        assert html.count(f'id="{anchor}"') == 1
        assert f'href="#{anchor}"' in html
    assert "nan" not in re.sub(r"base64,[^\"]*", "", html).lower().split("<script")[0].split()
    assert set(data_of(html)["charts"]) == {"elbo", "recon", "kl", "kl-bars"}


def test_the_headline_has_the_scores_of_the_run(image_run):
    test = image_run.metrics["test"]
    elbo, log_px = headline(image_run)["scores"]
    assert elbo["value"] == f"{test['elbo']:.1f}".replace("-", "−")
    assert f"standard error {test['elbo_error']:.2f}" in elbo["note"]
    assert log_px["value"] == f"{test['log_marginal']:.1f}".replace("-", "−")
    assert "5 samples per image" in log_px["note"]


def test_grey_pixels_have_a_score_and_no_code_length(image_run):
    value = -image_run.metrics["test"]["log_marginal"]
    said = verdict(image_run, -99.04)
    assert f"The score of an unseen image is −{value:.1f} nats, and −99.0 for a baseline" in said
    assert "bits" not in said
    helps = [score["help"] for score in headline(image_run)["scores"]]
    assert all(text.endswith("it is a score and not a probability.") for text in helps)
    assert "learned no more" not in said


def test_the_verdict_compares_with_the_average_image(image_run):
    value = -image_run.metrics["test"]["log_marginal"]
    image_run = replace(image_run)
    images = image_run.images
    vars(image_run)["images"] = replace(images, test=images.test.round())
    said = verdict(image_run, -99.04)
    assert f"in {value:.1f} nats ({value / math.log(2):.0f} bits)" in said
    assert "not a probability" not in headline(image_run)["scores"][0]["help"]
    assert "the average training image needs 99.0." in said
    assert "learned no more" not in said
    assert "learned no more" in verdict(image_run, -value + 0.1)


@pytest.mark.parametrize(
    ("active", "channels", "end"),
    [
        (3, 3, "3 latent dimensions, all of them in use."),
        (2, 3, "3 latent dimensions, 2 of them in use."),
        (0, 3, "3 latent dimensions, none of them in use."),
        (1, 1, "a single latent dimension."),
        (0, 1, "a single latent dimension, which is unused."),
    ],
)
def test_the_verdict_has_the_number_of_dimensions_in_use(image_run, active, channels, end):
    test = {**image_run.metrics["test"], "active_units": active, "latent_channels": channels}
    run = replace(image_run, metrics={**image_run.metrics, "test": test})
    assert verdict(run, -99).endswith(f"It has {end}")


def test_the_facts_are_those_of_the_run(image_run, quick):
    found = facts_of(image_page(image_run))
    assert found["pixels"] == "8 × 8"
    assert image_run.metrics["test"]["active_units"] == 3
    assert found["latent dimensions"] == "3, all active"
    assert found["KL to the prior"].startswith(f"{image_run.metrics['test']['kl']:.1f}")
    assert found["epoch kept"].endswith("of 4")


def test_the_map_has_the_principal_components_of_the_posterior_means(image_run):
    drawn, note = map_data(image_run, shown_images(image_run))
    x, y = unpack(drawn["x"]), unpack(drawn["y"])
    assert max(np.abs(x).max(), np.abs(y).max()) == pytest.approx(1)
    mu = embed_images(image_run.model, image_run.images.test).mu.double().numpy()
    centred = mu - mu.mean(axis=0)
    first = np.linalg.svd(centred, full_matrices=False)[2][0]
    assert abs(np.corrcoef(centred @ first, x)[0, 1]) == pytest.approx(1, abs=1e-5)
    labels = image_run.images.y_test.numpy()
    np.testing.assert_array_equal(unpack(drawn["label"]), labels)
    assert drawn["classes"] == [str(k) for k in range(10)]
    assert not drawn["is_latent"]
    assert note.startswith(f"{len(labels)} of {len(labels)} test images, PCA of 3 dimensions")


def test_of_very_many_images_some_are_on_the_map(image_run, monkeypatch):
    monkeypatch.setattr(module, "_DOTS", 50)
    drawn, note = map_data(image_run, shown_images(image_run))
    number = unpack(drawn["number"])
    assert (len(number), number[0], number[-1]) == (50, 1, len(image_run.images.test))
    labels = image_run.images.y_test.numpy()[number - 1]
    np.testing.assert_array_equal(unpack(drawn["label"]), labels)
    assert note.startswith("50 of ")


def test_the_square_has_the_two_dimensions_of_most_information(image_run):
    mu = embed_images(image_run.model, image_run.images.test).mu
    about, _ = explorer_data(image_run, mu, [2, 0, 1])
    assert (about["axes"], about["others"], about["grid"]) == ([3, 1], 1, 31)
    assert about["size"] == [8, 8]


def test_of_a_plane_the_axes_stay_as_they_are(tmp_path, rng_pixels):
    run = train(tmp_path, rng_pixels(40, 5, 5))
    mu = embed_images(run.model, run.images.test).mu
    about, _ = explorer_data(run, mu, [1, 0])
    assert (about["axes"], about["others"]) == ([1, 2], 0)


def test_the_command_names_the_recipe_and_what_is_otherwise(image_run):
    words = shlex.split(command(image_run))
    assert words[:3] == ["vgae", "train", "digits"]
    recipe = IMAGE_RECIPES[words[words.index("--recipe") + 1]]
    changes = dict(
        w.split("=") for w, before in zip(words[1:], words, strict=False) if before == "--set"
    )
    assert replace(recipe.override(changes), name="short") == image_run.recipe


def test_every_setting_is_listed(image_run):
    found = dict(settings(image_run))
    assert found["hidden_channels"] == "32"
    assert found["fingerprint of the images"] == image_run.images.fingerprint
    assert found["version of torch"] == torch.__version__


def test_figures_that_are_there_are_taken_and_missing_ones_drawn(image_run, tmp_path):
    assert not (image_run.folder / "figures").exists()
    drawn = stills(image_run)
    assert [*drawn] == ["training", "latent"]
    (tmp_path / "figures").mkdir()
    for name in drawn:
        (tmp_path / "figures" / f"{name}.png").write_bytes(b"there")
    found = stills(replace(image_run, folder=tmp_path))
    assert found["latent"][1] == "data:image/png;base64," + base64.b64encode(b"there").decode()


def test_a_plain_auto_encoder_has_no_prior_and_no_kl(tmp_path, quick, rng_pixels):
    run = train(tmp_path, rng_pixels(60, 5, 5), model="ae")
    html = image_page(run)
    assert "plain auto-encoder" in html
    assert "The log-likelihood given the latent vector of an unseen image" in html
    assert "standard deviations of the prior" not in html
    assert "kl-bars" not in data_of(html)["charts"]
    assert [score["name"] for score in headline(run)["scores"]] == ["Log-likelihood"]
    assert "KL to the prior" not in facts_of(html)


def test_colours_and_a_normal_likelihood_and_no_labels(tmp_path, quick, rng_pixels):
    recipe = replace(TINY, likelihood="normal", variance="pixel", latent_channels=4)
    run = train(tmp_path, rng_pixels(60, 6, 7, 3), recipe=recipe)
    html = image_page(run)
    assert "7 × 6, 3 channels" in html
    assert "The log-density of an unseen image" in html
    assert "label" not in data_of(html)["map"]
    assert data_of(html)["explorer"]["size"] == [6, 7]


def test_a_single_latent_dimension_has_no_square_to_move_through(tmp_path, quick, rng_pixels):
    run = train(tmp_path, rng_pixels(60, 5, 5), recipe=replace(TINY, latent_channels=1))
    html = image_page(run)
    assert 'id="explore"' not in html
    assert data_of(html)["explorer"] is None
    assert "KL to the prior, nats" in html


def test_without_test_images_the_page_shows_what_there_is(tmp_path, quick, rng_pixels):
    run = train(tmp_path, rng_pixels(7, 5, 5), recipe=replace(TINY, epochs=0))
    assert shown_images(run).name == "training"
    html = image_page(run)
    assert "No images were held out for test" in html
    assert "The model was not trained: there are no epochs." in html
    assert "7 of 7 training images" in html


def test_a_name_of_markup_stays_text(tmp_path, quick, rng_pixels):
    name = "<img src=x onerror=alert(1)>"
    html = image_page(train(tmp_path, rng_pixels(40, 5, 5), name=f"{name}.npy"))
    assert name not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html


def test_a_damaged_run_is_one_error(image_run, quick):
    run = replace(image_run, metrics={})
    with pytest.raises(ArtifactError, match="has content that no run has"):
        image_page(run)


@pytest.fixture
def rng_pixels():
    return lambda *shape: np.random.default_rng(0).random(shape, dtype=np.float32)

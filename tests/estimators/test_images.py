import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

from vgae.data.images import Images
from vgae.errors import DataError, UsageError
from vgae.estimators import ImageVAE
from vgae.evaluation.images import evaluate_images
from vgae.recipes.images import SMALL2D
from vgae.runtime.streams import stream
from vgae.training.images import fit_images

SMALL = {
    "settings": {"hidden_channels": (16,), "activation": "tanh"},
    "learning_rate": 0.01,
    "max_epochs": 4,
    "device": "cpu",
    "random_state": 0,
}


@pytest.fixture(scope="module")
def bars():
    """200 images of 6 x 6 pixels, a row each: a bar in one of six rows, and noise."""
    rng = np.random.default_rng(0)
    pixels = 0.1 * rng.random((200, 6, 6))
    pixels[np.arange(200), rng.integers(6, size=200)] = 0.9
    return pixels.reshape(200, 36)


@pytest.fixture(scope="module")
def fitted(bars):
    return ImageVAE(**SMALL).fit(bars)


class OfAnyNumbers(ImageVAE):
    """Squashes X into [0, 1] first, so that the checks get past the range of their data."""

    def _validated(self, X, *, reset):
        return expit(validate_data(self, X, dtype=np.float32, reset=reset))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = False
        return tags


FITTING_CHECKS = (
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_pipeline_consistency",
    "check_readonly_memmap_input",
    "check_transformer_data_not_an_array",
    "check_transformer_general",
    "check_transformer_preserve_dtypes",
)


def expected_failures(estimator):
    """What fits numbers above 1, which are no pixels; ``OfAnyNumbers`` passes all of these."""
    if isinstance(estimator, OfAnyNumbers):
        return {}
    return dict.fromkeys(FITTING_CHECKS, "fits numbers above 1")


TINY = {"settings": {"hidden_channels": (4,)}, "max_epochs": 2, "device": "cpu"}


@parametrize_with_checks(
    [ImageVAE(**TINY), OfAnyNumbers(**TINY)], expected_failed_checks=expected_failures
)
def test_it_keeps_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)


def test_it_is_fit_images_with_the_seed(bars, fitted):
    recipe = replace(SMALL2D, hidden_channels=(16,), activation="tanh", lr=0.01, epochs=4)
    pixels = torch.from_numpy(bars.astype(np.float32)).view(-1, 1, 6, 6)
    order = torch.randperm(200, generator=stream(0, "split"))
    val, train = order[:20].sort().values, order[20:].sort().values
    images = Images.from_arrays(pixels[train], val=pixels[val], test=pixels[:0])
    result = fit_images(images, recipe=recipe, device="cpu", progress=False)
    assert fitted.history_ == result.history
    assert fitted.recipe_ == recipe
    assert fitted.n_iter_ == 4
    mu = result.model.encoder(pixels).mu.detach().numpy()
    np.testing.assert_allclose(fitted.transform(bars), mu, rtol=1e-5, atol=1e-6)


def test_latent_vectors_decode_to_the_mean_of_the_pixels_in_their_order(fitted):
    """1,001 of them are decoded in two goes."""
    z = np.random.default_rng(0).normal(size=(1001, 2))
    decoded = fitted.inverse_transform(z)
    assert decoded.shape == (1001, 36)
    with torch.no_grad():
        mean = fitted.model_.decoder.network(torch.tensor(z, dtype=torch.float32)).sigmoid()
    np.testing.assert_allclose(decoded, mean.reshape(1001, 36), rtol=1e-4, atol=1e-6)


def test_samples_are_decoded_draws_of_the_prior(fitted):
    z = torch.randn(5, 2, generator=stream(0, "sample")).numpy()
    np.testing.assert_array_equal(fitted.sample(5), fitted.inverse_transform(z))
    np.testing.assert_array_equal(fitted.sample(5), fitted.sample(5))
    assert fitted.sample().shape == (1, 36)
    with pytest.raises(ValueError, match="n_samples must be at least 1, got 0"):
        fitted.sample(0)


def test_the_score_is_the_mean_elbo_and_training_raises_it(bars, fitted):
    pixels = torch.from_numpy(bars.astype(np.float32)).view(-1, 1, 6, 6)
    expected = evaluate_images(fitted.model_, pixels, num_samples=1, seed=0).elbo
    assert fitted.score(bars) == pytest.approx(expected, rel=1e-6)
    assert fitted.score(bars) == fitted.score(bars)
    untrained = clone(fitted).set_params(max_epochs=0).fit(bars)
    assert fitted.score(bars) > untrained.score(bars) + 1


@pytest.mark.parametrize(
    ("num_features", "shape", "expected"),
    [
        (16, None, (1, 4, 4)),
        (15, None, (1, 1, 15)),
        (24, (2, 4, 3), (2, 4, 3)),  # a width of 3 is not taken for the colours
        (12, np.array([3, 2, 2]), (3, 2, 2)),
    ],
)
def test_images_are_square_or_a_row_or_as_told(num_features, shape, expected, generator):
    X = torch.rand(20, num_features, generator=generator).numpy()
    vae = ImageVAE(**{**SMALL, "shape": shape, "max_epochs": 1}).fit(X)
    assert vae.shape_ == expected
    decoded = vae.model_.decoder.mean(torch.zeros(1, 2))
    assert decoded.shape == (1, *expected)
    np.testing.assert_allclose(
        vae.inverse_transform(np.zeros((1, 2))), decoded.detach().flatten(1), rtol=1e-5
    )


@pytest.mark.parametrize("shape", [(1, 5, 7), (6, 6), (-1, -6, 6), "x", 36, (1, 6, "6")])
def test_a_shape_of_other_pixels_is_an_error(bars, shape):
    with pytest.raises(DataError, match=r"shape must be \(c, h, w\) with c h w = 36"):
        ImageVAE(**SMALL, shape=shape).fit(bars)


@pytest.mark.parametrize(
    ("change", "words"),
    [(2, r"^X must lie in \[0, 1\], got values from 0 to 2; .*MinMaxScaler"), (-1, "^Negative")],
)
@pytest.mark.parametrize("method", ["fit", "transform", "score"])
def test_pixels_out_of_range_are_an_error(fitted, method, change, words):
    estimator = clone(fitted) if method == "fit" else fitted
    X = np.zeros((3, 36))
    X[1, 5] = change
    with pytest.raises(DataError, match=words) as caught:
        getattr(estimator, method)(X)
    assert caught.value.code == "IMAGE_RANGE"


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "score", "sample"])
def test_nothing_is_inferred_before_fit_even_if_that_was_tried(bars, method):
    vae = ImageVAE(**SMALL)
    with pytest.raises(DataError):
        vae.fit(bars + 1)
    with pytest.raises(NotFittedError):
        getattr(vae, method)(*([] if method == "sample" else [bars]))


def test_latent_vectors_of_another_width_are_an_error(fitted):
    with pytest.raises(ValueError, match="X must have 2 columns, one per latent dimension, got 3"):
        fitted.inverse_transform(np.zeros((1, 3)))


def test_parameters_change_the_recipe_and_go_before_settings():
    vae = ImageVAE(
        "kingma2013",
        n_components=np.int64(3),
        max_epochs=1,
        batch_size=7,
        learning_rate=np.float32(0.5),
        settings={"hidden_channels": [8, np.int64(5)], "average": True, "batch_size": 2},
        random_state=0,
        device="cpu",
    ).fit(np.full((4, 9), 0.5))
    recipe = vae.recipe_
    assert (recipe.name, recipe.latent_channels, recipe.epochs) == ("kingma2013", 3, 1)
    assert (recipe.batch_size, recipe.lr, recipe.average) == (7, 0.5, True)
    assert recipe.hidden_channels == (8, 5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipe": "nothing"}, "no recipe 'nothing' for images; there are kingma2013"),
        ({"settings": {"width": 3}}, "'width' is no field of a recipe; they are name"),
        ({"n_components": 0}, "latent_channels must lie in"),
        ({"n_components": 2.5}, "n_components must be an integer or None, got 2.5"),
        ({"batch_size": "4"}, "batch_size must be an integer or None, got '4'"),
        ({"max_epochs": "1"}, "max_epochs must be an integer or None, got '1'"),
        ({"settings": [1]}, "settings must be a dictionary or None"),
        ({"validation_fraction": 1.0}, r"validation_fraction must lie in \[0, 1\), got 1.0"),
        ({"validation_fraction": float("nan")}, "validation_fraction must lie in"),
        ({"random_state": -1}, "seed must lie in"),
    ],
)
def test_parameters_that_make_no_sense_are_errors(bars, changes, words):
    with pytest.raises(UsageError, match=words):
        ImageVAE(**{**SMALL, **changes}).fit(bars)


@pytest.mark.parametrize(("fraction", "num_val"), [(0.25, 50), (0.999, 199), (0.0, 0)])
def test_a_share_of_the_images_chooses_the_epoch(bars, fraction, num_val):
    """The loss of an epoch is per image learned from, its terms are sums over all of them."""
    row = ImageVAE(**SMALL, validation_fraction=fraction).fit(bars).history_[0]
    assert row.loss * (200 - num_val) == pytest.approx(row.recon + row.kl, rel=1e-5)
    assert (row.val_elbo is None) == (num_val == 0)


def test_an_integer_repeats_the_weights_and_a_random_state_goes_on(bars):
    vae = ImageVAE(**{**SMALL, "max_epochs": 1})
    first, again = (clone(vae).fit_transform(bars) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    vae.set_params(random_state=np.random.RandomState(0)).fit(bars)
    seed = vae.seed_
    assert seed == np.random.RandomState(0).randint(2**31 - 1)
    assert not np.array_equal(vae.sample(), vae.sample())
    assert vae.fit(bars).seed_ != seed


def test_columns_are_named_after_the_class(fitted):
    assert fitted.get_feature_names_out().tolist() == ["imagevae0", "imagevae1"]


def test_output_may_be_a_data_frame(bars, fitted):
    pytest.importorskip("pandas")
    frame = clone(fitted).set_output(transform="pandas").fit_transform(bars)
    assert list(frame.columns) == ["imagevae0", "imagevae1"]
    np.testing.assert_array_equal(frame, fitted.transform(bars))


def test_a_pickle_infers_and_samples_the_same(bars, fitted):
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(restored.transform(bars), fitted.transform(bars))
    np.testing.assert_array_equal(restored.sample(3), fitted.sample(3))
    assert restored.score(bars) == fitted.score(bars)


def test_a_clone_has_the_parameters_and_no_model(fitted):
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "model_")


def test_in_a_pipeline_other_values_are_scaled_there_and_back(bars):
    pipeline = make_pipeline(MinMaxScaler(clip=True), ImageVAE(**SMALL)).fit(255 * bars)
    scaled = MinMaxScaler().fit_transform(bars)
    alone = ImageVAE(**SMALL).fit(scaled)
    z = pipeline.transform(255 * bars)
    np.testing.assert_allclose(z, alone.transform(scaled), rtol=1e-3, atol=1e-4)
    low, high = 255 * bars.min(axis=0), 255 * bars.max(axis=0)
    expected = low + (high - low) * alone.inverse_transform(z)
    np.testing.assert_allclose(pipeline.inverse_transform(z), expected, rtol=1e-3)
    assert pipeline.score(255 * bars) == pytest.approx(alone.score(scaled), rel=1e-3)


def test_a_grid_search_chooses_the_width_by_the_elbo(bars):
    widths = np.arange(1, 3)
    search = GridSearchCV(ImageVAE(**SMALL), {"n_components": widths}, cv=2).fit(bars)
    scores = []
    for width in widths:
        vae = ImageVAE(**SMALL, n_components=width)
        folds = (bars[:100], bars[100:])
        scores.append(np.mean([vae.fit(folds[1 - i]).score(folds[i]) for i in range(2)]))
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], scores, rtol=1e-5)
    assert search.best_params_["n_components"] == widths[np.argmax(scores)]
    assert search.transform(bars).shape == (200, search.best_params_["n_components"])


@pytest.mark.gpu
def test_on_a_gpu_it_gives_arrays_too(bars):
    vae = ImageVAE(**{**SMALL, "device": "cuda"})
    z = vae.fit_transform(bars)
    assert vae.inverse_transform(z).shape == bars.shape
    assert vae.sample(2).shape == (2, 36)
    assert np.isfinite(vae.score(bars))


@pytest.mark.parametrize("verbose", [False, True])
def test_progress_is_shown_only_if_it_is_wanted(bars, capfd, verbose):
    ImageVAE(**SMALL, verbose=verbose).fit(bars)
    assert ("4/4" in capfd.readouterr().err) == verbose

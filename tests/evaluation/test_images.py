import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal

from vgae.errors import DataError, NumericalError, UsageError
from vgae.evaluation.images import (
    ImageEvaluation,
    active_units,
    elbo_terms,
    evaluate_images,
    log_marginal,
)
from vgae.gaussian import DiagGaussian, PointMass
from vgae.vae import VAE

SHAPE = (1, 2, 3)
SIGMA = 0.3
# p(x | z) = N(W z + b, SIGMA^2). The columns of W are at right angles, the last one is zero: the
# true posterior has a diagonal covariance, sigma_u^2 = 1 / (1 + |w_u|^2 / SIGMA^2).
DIRECTIONS = torch.linalg.qr(torch.arange(36.0, dtype=torch.float64).view(6, 6).sin())[0]
W = DIRECTIONS[:, :3] * torch.tensor([0.5, 0.3, 0.0], dtype=torch.float64)
B = torch.linspace(0.2, 0.8, 6, dtype=torch.float64)
MARGINAL = MultivariateNormal(B, W @ W.T + SIGMA**2 * torch.eye(6, dtype=torch.float64))


class TrueEncoder(nn.Module):
    """The true posterior, or one whose sigma is ``width`` times as wide."""

    def __init__(self, width=1.0):
        super().__init__()
        self.width, self.calls, self.modes = width, [], []
        self.weight = nn.Parameter(W)

    def forward(self, x):
        self.calls.append(x.shape)
        self.modes.append((self.training, torch.is_grad_enabled()))
        variance = 1 / (1 + self.weight.square().sum(0) / SIGMA**2)
        mu = (x.flatten(-3) - B.to(x)) @ self.weight * variance / SIGMA**2
        return DiagGaussian(mu, (variance * self.width**2).log().expand_as(mu))


class MeanEncoder(TrueEncoder):
    """The mean of the true posterior, as a plain auto-encoder has it."""

    def forward(self, x):
        return PointMass(super().forward(x).mu)


class LinearDecoder(nn.Module):
    """N(W z + b, SIGMA^2), which remembers what it was called with."""

    def __init__(self):
        super().__init__()
        self.calls, self.modes = [], []
        self.weight = nn.Parameter(W)

    def log_prob(self, z, x):
        self.calls.append(z.shape[:-1])
        self.modes.append((self.training, torch.is_grad_enabled()))
        mean = z @ self.weight.T + B.to(z)
        return Normal(mean, SIGMA, validate_args=False).log_prob(x.flatten(-3)).sum(-1)


class WholeBatchDecoder(nn.Module):
    """A decoder that adds its images up, against the contract."""

    def log_prob(self, z, x):
        return z.sum()


class GivenMeans(nn.Module):
    """An encoder whose posterior means are the pixels themselves."""

    def forward(self, x):
        return PointMass(x.flatten(-3))


def linear_model(width=1.0):
    return VAE(TrueEncoder(width), LinearDecoder())


def images(n, seed=1):
    """Draws of the model itself, shape ``(n, 1, 2, 3)``."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, 6, generator=generator, dtype=torch.float64)
    return (z @ W.T + B + SIGMA * noise).view(n, *SHAPE)


def exact_log_marginal(pixels):
    return MARGINAL.log_prob(pixels.flatten(1).double())


def estimate(model, pixels, num_samples, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return log_marginal(model, pixels, num_samples=num_samples, generator=generator, **options)


def standard_error(values):
    return values.std().item() / len(values) ** 0.5


@pytest.mark.parametrize("num_samples", [1, 2, 37])
@pytest.mark.parametrize("max_pixels", [1, 200, 2**22])
def test_log_marginal_is_exact_at_the_true_posterior(num_samples, max_pixels):
    """Then p(x | z) p(z) / q(z | x) is p(x) for every z."""
    pixels = images(9)
    got = estimate(linear_model(), pixels, num_samples, max_pixels=max_pixels)
    torch.testing.assert_close(got, exact_log_marginal(pixels), rtol=0, atol=1e-10)


def test_log_marginal_is_nearly_exact_in_single_precision():
    pixels = images(9)
    got = estimate(linear_model().float(), pixels.float(), 20)
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, exact_log_marginal(pixels), rtol=0, atol=1e-4)


def test_log_marginal_of_an_image_far_out_does_not_vanish():
    """p(x) itself is below the smallest float64."""
    pixels = images(2) + 40
    exact = exact_log_marginal(pixels)
    assert (exact < -10_000).all()
    torch.testing.assert_close(estimate(linear_model(), pixels, 5), exact)


def test_log_marginal_equals_its_definition():
    """The mean of p(x | z) p(z) / q(z | x) over the samples, by torch.distributions."""
    model, pixels = linear_model(width=1.5), images(4)
    q = model.encoder(pixels)
    generator = torch.Generator().manual_seed(0)
    z = torch.stack([q.rsample(generator) for _ in range(11)])
    log_weight = (
        Normal(z @ W.T + B, SIGMA).log_prob(pixels.flatten(1)).sum(-1)
        + Normal(0.0, 1.0).log_prob(z).sum(-1)
        - Normal(q.mu, (q.logvar / 2).exp()).log_prob(z).sum(-1)
    )
    expected = log_weight.exp().mean(dim=0).log().detach()
    torch.testing.assert_close(estimate(model, pixels, 11), expected)


def test_log_marginal_rises_from_the_elbo_to_the_truth():
    """With sigma 1.5 times too wide the gap of three dimensions is known: KL(q || p(z | x))."""
    model, pixels = linear_model(width=1.5), images(1).expand(4000, *SHAPE)
    exact = exact_log_marginal(pixels[:1]).item()
    terms = elbo_terms(model, pixels, generator=torch.Generator().manual_seed(3))
    elbo = terms.log_likelihood - terms.kl
    gap = 3 * 0.5 * (1.5**2 - 1 - math.log(1.5**2))
    assert elbo.mean().item() == pytest.approx(exact - gap, abs=4 * standard_error(elbo))
    one, few, many = (estimate(model, pixels, k, seed=k) for k in (1, 5, 50))
    assert one.mean().item() == pytest.approx(exact - gap, abs=4 * standard_error(one))
    assert one.mean() + 0.3 < few.mean()
    assert few.mean() + 0.05 < many.mean() < exact + 4 * standard_error(many)
    assert many.mean().item() == pytest.approx(exact, abs=0.05)


def test_many_samples_reach_the_truth_in_every_image():
    pixels = images(5)
    got = estimate(linear_model(width=1.5), pixels, 20_000)
    torch.testing.assert_close(got, exact_log_marginal(pixels), rtol=0, atol=0.05)


@pytest.mark.parametrize("max_pixels", [42, 100, 10_000])
def test_samples_decoded_at_once_change_nothing_but_the_rounding(max_pixels):
    model, pixels = linear_model(width=1.5), images(7)
    got = estimate(model, pixels, 25, max_pixels=max_pixels)
    torch.testing.assert_close(got, estimate(model, pixels, 25), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("batch_size", "max_pixels", "calls"),
    [
        # 6 pixels an image: 10 images are 60, so that 200 pixels hold 3 samples of them.
        (10, 200, [(3, 10), (3, 10), (1, 10), (3, 10), (3, 10), (1, 10)]),
        (15, 1000, [(7, 15), (7, 5)]),
        # 50 pixels hold 8 images, once.
        (500, 50, [(1, 8)] * 14 + [(2, 4)] * 3 + [(1, 4)]),
        # One image has more than 5 pixels: one at a time, one sample of it.
        (500, 5, [(1, 1)] * 140),
    ],
)
def test_no_more_pixels_are_decoded_at_once_than_promised(batch_size, max_pixels, calls):
    model = linear_model()
    estimate(model, images(20), 7, batch_size=batch_size, max_pixels=max_pixels)
    assert model.decoder.calls == calls


def test_few_pixels_and_many_latent_dimensions_are_bounded_too():
    model = linear_model()
    model.encoder.weight = nn.Parameter(torch.zeros(6, 24, dtype=torch.float64))
    model.decoder.weight = nn.Parameter(torch.zeros(6, 24, dtype=torch.float64))
    estimate(model, images(2), 12, max_pixels=240)
    assert model.decoder.calls == [(5, 2), (5, 2), (2, 2)]


def test_the_encoder_sees_each_image_once_whatever_the_samples():
    model = linear_model()
    estimate(model, images(20), 50, batch_size=8, max_pixels=100)
    assert model.encoder.calls == [(8, *SHAPE), (8, *SHAPE), (4, *SHAPE)]


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_terms_equal_torch_distributions_in_batches_of_any_size(batch_size):
    """A point has no noise, so that the likelihood is the same in whatever batches."""
    model, pixels = VAE(MeanEncoder(), LinearDecoder()), images(7)
    terms = elbo_terms(model, pixels, generator=torch.Generator(), batch_size=batch_size)
    mean = model.encoder(pixels).mu @ W.T + B
    expected = Normal(mean, SIGMA).log_prob(pixels.flatten(1)).sum(-1)
    torch.testing.assert_close(terms.log_likelihood, expected.detach())
    assert (terms.kl == 0).all()


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_kl_is_that_of_the_posterior_in_batches_of_any_size(batch_size):
    model, pixels = linear_model(), images(7)
    terms = elbo_terms(model, pixels, generator=torch.Generator(), batch_size=batch_size)
    torch.testing.assert_close(terms.kl, model.encoder(pixels).kl().detach())


def test_terms_are_those_of_the_model_itself(generator):
    model, pixels = linear_model(), images(7)
    terms = elbo_terms(model, pixels, generator=generator)
    expected = model((pixels,), pixels, torch.Generator().manual_seed(0))
    torch.testing.assert_close(terms.log_likelihood.sum(), expected.log_likelihood.detach())
    torch.testing.assert_close(terms.kl.sum(), expected.kl.detach())


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_evaluated_without_dropout_or_gradients_and_keeps_its_mode(training):
    model = linear_model().train(training)
    evaluate_images(model, images(3), num_samples=2)
    assert {*model.encoder.modes, *model.decoder.modes} == {(False, False)}
    assert model.training is training


def test_a_model_in_single_precision_takes_pixels_in_double(generator):
    terms = elbo_terms(linear_model().float(), images(3), generator=generator)
    assert terms.log_likelihood.dtype == terms.kl.dtype == torch.float64


def test_active_units_are_those_whose_mean_varies_more_than_the_threshold():
    """Of two images at m and -m the variance is m^2: 0, 0.0081, 0.0121, 0.25, 4 and 0."""
    means = torch.tensor([0.0, 0.09, 0.11, 0.5, 2.0, 0.0], dtype=torch.float64)
    offsets = torch.tensor([0.0, 0.0, 3.0, 0.0, 0.0, 0.7], dtype=torch.float64)
    pixels = (torch.stack([means, -means]) + offsets).view(2, 1, 2, 3)
    model = VAE(GivenMeans(), LinearDecoder())
    assert active_units(model, pixels) == 3
    assert active_units(model, pixels, 0.008) == 4
    assert active_units(model, pixels, 0.25) == 1
    assert active_units(model, pixels[:1]) == 0


def test_a_dimension_that_the_decoder_ignores_is_not_active():
    """Its posterior is the prior: the third column of W is zero."""
    evaluation = evaluate_images(linear_model(), images(200), num_samples=1)
    assert (evaluation.active_units, evaluation.latent_channels) == (2, 3)


def test_active_units_look_at_all_batches_together():
    """1,000 images of one value, then as many of another: no batch varies within itself."""
    pixels = torch.zeros(2000, 1, 1, 2)
    pixels[1000:, ..., 0] = 1
    assert active_units(VAE(GivenMeans(), LinearDecoder()), pixels) == 1


def test_means_and_standard_errors_are_those_of_numpy(monkeypatch):
    model, pixels = linear_model(width=1.2), images(40)
    seen = {}
    generator = torch.Generator()

    def keep(seed, name, device):
        seen.update(seed=seed, name=name, device=torch.device(device).type)
        return generator.manual_seed(8)

    monkeypatch.setattr("vgae.evaluation.images.stream", keep)
    got = evaluate_images(model, pixels, num_samples=6, seed=5)
    assert seen == {"seed": 5, "name": "evaluation", "device": "cpu"}
    generator.manual_seed(8)
    log_likelihood, kl = (t.numpy() for t in elbo_terms(model, pixels, generator=generator))
    log_px = log_marginal(model, pixels, num_samples=6, generator=generator).numpy()
    elbo = log_likelihood - kl
    root = np.sqrt(40)
    assert got == ImageEvaluation(
        elbo=pytest.approx(elbo.mean()),
        elbo_error=pytest.approx(elbo.std(ddof=1) / root),
        log_likelihood=pytest.approx(log_likelihood.mean()),
        kl=pytest.approx(kl.mean()),
        log_marginal=pytest.approx(log_px.mean()),
        log_marginal_error=pytest.approx(log_px.std(ddof=1) / root),
        num_samples=6,
        num_images=40,
        active_units=2,
        latent_channels=3,
    )


def test_the_same_seed_gives_the_same_figures_and_another_others():
    model, pixels, before = linear_model(width=1.5), images(10), torch.get_rng_state()
    first, again, other = (
        evaluate_images(model, pixels, num_samples=3, seed=s) for s in (0, 0, 1)
    )
    assert first == again
    assert first.elbo != other.elbo
    assert first.log_marginal != other.log_marginal
    assert torch.equal(before, torch.get_rng_state())


def test_the_elbo_does_not_depend_on_the_number_of_samples():
    model, pixels = linear_model(width=1.5), images(10)
    one, many = (evaluate_images(model, pixels, num_samples=k) for k in (1, 9))
    assert one.elbo == many.elbo


def test_a_plain_auto_encoder_has_a_likelihood_and_no_more():
    got = evaluate_images(VAE(MeanEncoder(), LinearDecoder()), images(10))
    assert got.kl == 0
    assert got.elbo == got.log_likelihood
    assert (got.log_marginal, got.log_marginal_error, got.num_samples) == (None, None, 0)
    assert got.active_units == 2


def test_log_marginal_of_a_plain_auto_encoder_is_refused():
    with pytest.raises(ValueError, match=r"needs a posterior with a density.*got PointMass"):
        estimate(VAE(MeanEncoder(), LinearDecoder()), images(2), 1)


def test_figures_become_json_even_for_a_single_image():
    content = evaluate_images(linear_model(), images(1), num_samples=2).to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["elbo_error"] is content["log_marginal_error"] is None
    assert content["num_images"] == 1


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (0, 1, 2, 3), (1, 1, 0, 3)])
def test_pixels_of_another_shape_are_refused(shape, generator):
    with pytest.raises(DataError, match="shape \\(n, c, h, w\\)") as error:
        elbo_terms(linear_model(), torch.zeros(shape), generator=generator)
    assert error.value.code == "IMAGE_SHAPE"


@pytest.mark.parametrize("num_samples", [0, -1])
def test_no_samples_are_refused(num_samples):
    for call in (evaluate_images, estimate):
        with pytest.raises(UsageError, match=f"at least 1, got {num_samples}"):
            call(linear_model(), images(2), num_samples=num_samples)
    with pytest.raises(UsageError):
        evaluate_images(VAE(MeanEncoder(), LinearDecoder()), images(2), num_samples=num_samples)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"max_pixels": 0}])
def test_chunks_of_nothing_are_refused(options):
    with pytest.raises(ValueError, match="must be at least 1"):
        estimate(linear_model(), images(2), 1, **options)


def test_a_decoder_that_adds_its_images_up_is_refused(generator):
    model = VAE(TrueEncoder(), WholeBatchDecoder())
    with pytest.raises(ValueError, match=r"shape \(2,\), got \(\)"):
        elbo_terms(model, images(2), generator=generator)
    with pytest.raises(ValueError, match=r"shape \(4, 2\), got \(\)"):
        estimate(model, images(2), 4)


def test_a_likelihood_that_is_no_number_is_an_error():
    pixels = images(3)
    pixels[1, 0, 0, 0] = math.nan
    for call in (evaluate_images, estimate):
        with pytest.raises(NumericalError, match="1 of 3 images"):
            call(linear_model(), pixels, num_samples=2)


@pytest.mark.gpu
def test_a_model_on_the_gpu_is_evaluated_there():
    pixels = images(30)
    model = linear_model().float().cuda()
    generator = torch.Generator("cuda").manual_seed(0)
    got = log_marginal(model, pixels, num_samples=9, generator=generator)
    torch.testing.assert_close(got, exact_log_marginal(pixels), rtol=0, atol=1e-3)
    assert evaluate_images(model, pixels, num_samples=4).active_units == 2

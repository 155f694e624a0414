import math

import pytest
import torch
import torch.nn.functional as F

from vgae.decoders import BernoulliDecoder, MLPGenerator
from vgae.encoders import MLPEncoder
from vgae.errors import DataError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.vae import VAE

SHAPE = (2, 4, 3)
FUNCTIONS = {"tanh": torch.tanh, "relu": lambda h: h.clamp_min(0), "softplus": F.softplus}


def images(generator, *lead):
    return torch.rand(*lead, *SHAPE, generator=generator)


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("hidden", [[], [7], [7, 6]])
def test_it_equals_products_of_matrices_written_out(activation, hidden, generator):
    encoder = MLPEncoder(SHAPE, hidden, 5, activation=activation, generator=generator)
    x = images(generator, 8)
    h = x.reshape(8, 24)
    *layers, (weight, bias) = zip(*[iter(encoder.parameters())] * 2, strict=True)
    for w, b in layers:
        h = FUNCTIONS[activation](h @ w.T + b)
    mu, logstd = (h @ weight.T + bias).split(5, dim=1)
    q = encoder(x)
    torch.testing.assert_close(q.mu, mu)
    torch.testing.assert_close(q.logvar, 2 * logstd)
    assert encoder.latent_channels == 5


@pytest.mark.parametrize("s", [-200.0, -1.0, 0.0, 3.0, 50.0])
def test_sigma_is_what_its_option_says(s, generator):
    sigmas = {}
    for sigma in ("exp", "softplus"):
        encoder = MLPEncoder(SHAPE, [7], 1, sigma=sigma, generator=generator)
        torch.nn.init.zeros_(encoder.head.heads.weight)
        with torch.no_grad():
            encoder.head.heads.bias[1] = s
        sigmas[sigma] = (encoder(images(generator, 1)).logvar / 2).item()
    assert sigmas["exp"] == pytest.approx(s)
    expected = math.log(math.log1p(math.exp(s)) + 1e-6)
    assert sigmas["softplus"] == pytest.approx(expected, rel=1e-5)


def test_gradients_are_finite_where_softplus_underflows(generator):
    encoder = MLPEncoder(SHAPE, [7], 3, sigma="softplus", generator=generator)
    with torch.no_grad():
        encoder.head.heads.bias[3:] = -200
    encoder(images(generator, 4)).kl().sum().backward()
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize(("posterior", "heads"), [(DiagGaussian, 2), (PointMass, 1)])
@pytest.mark.parametrize("sigma", ["exp", "softplus"])
def test_the_posterior_says_how_many_heads_there_are(posterior, heads, sigma, generator):
    encoder = MLPEncoder(SHAPE, [7], 5, posterior=posterior, sigma=sigma, generator=generator)
    assert encoder.head.heads.weight.shape == (5 * heads, 7)
    q = encoder(images(generator, 3))
    assert isinstance(q, posterior)
    assert q.kl().shape == (3,)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (0,)])
def test_each_image_is_judged_by_itself_whatever_comes_before_its_shape(lead, generator):
    encoder = MLPEncoder(SHAPE, [7], 5, generator=generator)
    x = images(generator, *lead)
    q = encoder(x)
    assert q.mu.shape == q.logvar.shape == (*lead, 5)
    rows = [encoder(image).mu for image in x.reshape(-1, *SHAPE)]
    torch.testing.assert_close(
        q.mu.reshape(-1, 5), torch.stack(rows) if rows else q.mu.new_empty(0, 5)
    )


def test_equal_seeds_give_equal_weights_and_nothing_is_drawn_elsewhere():
    outside = torch.get_rng_state()
    first, second, other = (
        MLPEncoder(SHAPE, [7], 5, generator=torch.Generator().manual_seed(seed)).state_dict()
        for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.heads.weight"], other["head.heads.weight"])
    assert torch.equal(outside, torch.get_rng_state())


@pytest.mark.parametrize("shape", [(8, 2, 3, 4), (8, 24), (8, 1, 4, 3)])
def test_images_of_another_shape_are_refused(shape, generator):
    encoder = MLPEncoder(SHAPE, [7], 5, generator=generator)
    with pytest.raises(DataError, match=r"\(2, 4, 3\), got \(8, ") as caught:
        encoder(torch.rand(shape))
    assert caught.value.code == "IMAGE_SHAPE"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": "square"}, "sigma must be 'exp' or 'softplus', got 'square'"),
        ({"activation": "gelu"}, "activation must be one of"),
    ],
)
def test_an_option_out_of_range_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        MLPEncoder(SHAPE, [7], 5, **options)


def test_training_raises_the_elbo(generator):
    x = (torch.rand(40, 1, 4, 4, generator=generator) < 0.2).float()
    model = VAE(
        MLPEncoder((1, 4, 4), [20], 4, generator=generator),
        BernoulliDecoder(MLPGenerator(4, [20], (1, 4, 4), generator=generator)),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    elbos = []
    for _ in range(60):
        optimizer.zero_grad()
        elbo = model((x,), x, generator).elbo()
        (-elbo / len(x)).backward()
        optimizer.step()
        elbos.append(elbo.item() / len(x))
    # From near 16 log 2 = 11.1 nats to the entropy of pixels at 0.2, 16 * 0.5 = 8.0, or better.
    assert sum(elbos[-5:]) / 5 > sum(elbos[:5]) / 5 + 2


def test_each_parameter_gets_a_gradient(generator):
    encoder = MLPEncoder(SHAPE, [7, 6], 5, generator=generator)
    model = VAE(encoder, BernoulliDecoder(MLPGenerator(5, [7], SHAPE, generator=generator)))
    x = images(generator, 9)
    model((x,), x, generator).elbo().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.any()] == []


def test_weights_survive_a_round_trip(generator):
    first, second = (MLPEncoder(SHAPE, [7], 5, generator=generator) for _ in range(2))
    x = images(generator, 3)
    assert not torch.equal(first(x).mu, second(x).mu)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x).mu, second(x).mu)
    assert torch.equal(first(x).logvar, second(x).logvar)

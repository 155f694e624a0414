import pytest
import torch
import torch.nn.functional as F

from vgae.decoders import BernoulliDecoder, ConvGenerator
from vgae.encoders import ConvEncoder
from vgae.errors import DataError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.vae import VAE


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 10)])
def test_it_equals_torchs_convolutions_written_out(shape, generator):
    encoder = ConvEncoder(shape, (4, 6), 5, hidden_channels=9, generator=generator)
    x = torch.rand(3, *shape, generator=generator)
    k0, b0, k1, b1, w, c, heads, b = encoder.parameters()
    h = F.conv2d(x, k0, b0, stride=2, padding=1).relu()
    h = F.conv2d(h, k1, b1, stride=2, padding=1).relu()
    h = F.linear(h.reshape(3, -1), w, c).relu()
    mu, logstd = F.linear(h, heads, b).split(5, dim=1)
    q = encoder(x)
    torch.testing.assert_close(q.mu, mu)
    torch.testing.assert_close(q.logvar, 2 * logstd)
    assert encoder.latent_channels == 5


@pytest.mark.parametrize(
    "shape", [(1, 4, 4), (1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 5, 9), (2, 1, 13)]
)
@pytest.mark.parametrize("channels", [(), (4,), (4, 6, 5)])
@pytest.mark.parametrize("lead", [(), (2,), (2, 3), (0,)])
def test_images_of_any_size_have_a_posterior_each(shape, channels, lead, generator):
    encoder = ConvEncoder(shape, channels, 5, hidden_channels=9, generator=generator)
    x = torch.rand(*lead, *shape, generator=generator)
    q = encoder(x)
    assert q.mu.shape == q.logvar.shape == (*lead, 5)
    if x.numel():
        first = encoder(x.reshape(-1, *shape)[:1]).mu
        torch.testing.assert_close(q.mu.reshape(-1, 5)[:1], first)


def test_a_pixel_in_any_corner_is_seen(generator):
    encoder = ConvEncoder((1, 7, 10), (4, 6), 5, activation="softplus", generator=generator)
    blank = encoder(torch.zeros(1, 7, 10)).mu
    for row, column in [(0, 0), (0, 9), (6, 0), (6, 9)]:
        x = torch.zeros(1, 7, 10)
        x[0, row, column] = 1
        assert (encoder(x).mu - blank).abs().max() > 1e-4


@pytest.mark.parametrize(("posterior", "heads"), [(DiagGaussian, 2), (PointMass, 1)])
@pytest.mark.parametrize("sigma", ["exp", "softplus"])
def test_the_posterior_says_how_many_heads_there_are(posterior, heads, sigma, generator):
    encoder = ConvEncoder(
        (1, 8, 8), latent_channels=5, posterior=posterior, sigma=sigma, generator=generator
    )
    assert encoder.head.heads.weight.shape == (5 * heads, 256)
    assert isinstance(encoder(torch.rand(2, 1, 8, 8)), posterior)


def test_equal_seeds_give_equal_weights_and_nothing_is_drawn_elsewhere():
    outside = torch.get_rng_state()
    first, second, other = (
        ConvEncoder((1, 8, 8), generator=torch.Generator().manual_seed(seed)).state_dict()
        for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.heads.weight"], other["head.heads.weight"])
    assert torch.equal(outside, torch.get_rng_state())


def test_images_of_another_shape_are_refused(generator):
    encoder = ConvEncoder((1, 8, 8), generator=generator)
    with pytest.raises(DataError, match=r"\(1, 8, 8\), got \(2, 3, 8, 8\)") as caught:
        encoder(torch.rand(2, 3, 8, 8))
    assert caught.value.code == "IMAGE_SHAPE"


@pytest.mark.parametrize(
    "options", [{"sigma": "square"}, {"activation": "gelu"}, {"channels": (0,)}]
)
def test_an_option_out_of_range_is_named(options):
    message = {"channels": "widths"}.get(next(iter(options)), next(iter(options)))
    with pytest.raises(ValueError, match=message):
        ConvEncoder((1, 8, 8), **options)


@pytest.mark.parametrize("activation", ["tanh", "relu", "softplus"])
def test_training_raises_the_elbo_and_each_parameter_gets_a_gradient(activation, generator):
    shape = (1, 6, 7)
    options = {"hidden_channels": 16, "activation": activation, "generator": generator}
    model = VAE(
        ConvEncoder(shape, (4, 6), 3, **options),
        BernoulliDecoder(ConvGenerator(3, (6, 4), shape, **options)),
    )
    x = (torch.rand(30, *shape, generator=generator) < 0.1).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    elbos = []
    for _ in range(30):
        optimizer.zero_grad()
        elbo = model((x,), x, generator).elbo()
        (-elbo / len(x)).backward()
        if not elbos:
            assert [name for name, p in model.named_parameters() if not p.grad.any()] == []
        optimizer.step()
        elbos.append(elbo.item() / len(x))
    # From near 42 log 2 = 29 nats to the entropy of pixels at 0.1, 42 * 0.33 = 14.
    assert sum(elbos[-5:]) / 5 > elbos[0] + 8


def test_weights_survive_a_round_trip(generator):
    first, second = (ConvEncoder((1, 8, 8), generator=generator) for _ in range(2))
    x = torch.rand(3, 1, 8, 8, generator=generator)
    assert not torch.equal(first(x).mu, second(x).mu)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x).mu, second(x).mu)

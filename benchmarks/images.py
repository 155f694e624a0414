"""What one training epoch of an image model costs on a CPU, beside the same in plain torch.

The model is that of the recipe ``bernoulli200``: 784-200-100 on binary pixels, RMSprop, batches
of 64.
"""

import argparse
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F
from harness import Row, answer, compare, find, options, spawn
from meter import Step, measure
from problems import is_there
from report import begin, finish, ratio, table
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from vgae.data.named_images import load_images
from vgae.models.images import build_image_model
from vgae.recipes.images import BERNOULLI200
from vgae.runtime.streams import stream
from vgae.training.images import ImageBatches
from vgae.training.loop import epochs
from vgae.training.optimizers import optimizer_for
from vgae.vae import VAE

WARMUP = 1
BASE = "plain"
FIGURES = ("wall_ms", "cpu_ms", "peak_mb")
RECIPE = BERNOULLI200
TOLERANCE = 1e-5

Batches = Callable[[], Iterable[Tensor]]


class PlainVAE(nn.Module):
    """The network of the recipe as it is written by hand."""

    def __init__(self, num_pixels: int) -> None:
        super().__init__()
        (hidden,), latent = RECIPE.hidden_channels, RECIPE.latent_channels
        self.hidden = nn.Linear(num_pixels, hidden)
        self.mu = nn.Linear(hidden, latent)
        self.sigma = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, num_pixels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the negative ELBO of flat images, a mean over them, shape ``()``."""
        h = F.relu(self.hidden(x))
        mu, sigma = self.mu(h), F.softplus(self.sigma(h)) + 1e-6
        logits = self.decoder(mu + sigma * torch.randn_like(sigma))
        recon = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = 0.5 * (mu.pow(2) + sigma.pow(2) - 2 * sigma.log() - 1).sum()
        return (recon + kl) / len(x)


def our_model(pixels: Tensor) -> VAE:
    """Return the model of the recipe, as ``fit_images`` makes it."""
    _, c, h, w = pixels.shape
    return build_image_model("vae", (c, h, w), RECIPE, stream(0, "init"))


def ours(pixels: Tensor) -> Step:
    """Train as ``fit_images`` does."""
    model = our_model(pixels)
    loop = epochs(
        model,
        optimizer_for(model, RECIPE),
        (pixels,),
        pixels,
        num_items=len(pixels),
        generator=stream(0, "noise"),
        steps=ImageBatches(RECIPE.batch_size, stream(0, "batches")),
    )
    return lambda: next(loop)


def plain(pixels: Tensor, *, batches: Callable[[Tensor], Batches]) -> Step:
    """Train in a loop of plain torch; ``batches`` says how it gets at the images."""
    flat = pixels.flatten(start_dim=1)
    model = PlainVAE(flat.shape[1])
    optimizer = torch.optim.RMSprop(model.parameters(), lr=RECIPE.lr)
    next_epoch = batches(flat)

    def epoch() -> None:
        for x in next_epoch():
            optimizer.zero_grad()
            model(x).backward()
            optimizer.step()

    return epoch


def loaded(flat: Tensor) -> Batches:
    """Batches of a ``DataLoader``, which takes image by image and stacks them."""
    loader = DataLoader(TensorDataset(flat), batch_size=RECIPE.batch_size, shuffle=True)
    return lambda: (x for (x,) in loader)


def sliced(flat: Tensor) -> Batches:
    """Batches cut from a permutation, without a ``DataLoader``."""
    return lambda: (flat[i] for i in torch.randperm(len(flat)).split(RECIPE.batch_size))


SIDES: dict[str, Callable[[Tensor], Step]] = {
    "ours": ours,
    "plain": partial(plain, batches=loaded),
    "plain-sliced": partial(plain, batches=sliced),
}


def relative_error(pixels: Tensor) -> float:
    """Return how far the losses of both networks are apart, with equal weights and noise."""
    x = pixels[: RECIPE.batch_size]
    model, other = our_model(x), PlainVAE(x[0].numel())
    copy_weights(model, other)
    with torch.no_grad():
        torch.manual_seed(0)
        wanted = other(x.flatten(start_dim=1))
        torch.manual_seed(0)
        found = -model((x,), x).elbo() / len(x)
    return float((found - wanted).abs() / wanted.abs())


@torch.no_grad()
def copy_weights(model: VAE, other: PlainVAE) -> None:
    """Give the network written by hand the weights of ours, whose two heads are one layer."""
    hidden, heads, *decoder = (part for part in model.modules() if isinstance(part, nn.Linear))
    pairs = [
        (hidden, other.hidden),
        (decoder[0], other.decoder[0]),
        (decoder[1], other.decoder[2]),
    ]
    for name in ("weight", "bias"):
        mu, sigma = getattr(heads, name).chunk(2)
        getattr(other.mu, name).copy_(mu)
        getattr(other.sigma, name).copy_(sigma)
        for source, copy in pairs:
            getattr(copy, name).copy_(getattr(source, name))


def run_side(args: argparse.Namespace) -> Row:
    """Measure one side in this process."""
    torch.set_num_threads(args.threads[0])
    pixels = load_images(args.images, binarize="static").train
    if args.side == "check":
        return {"loss": relative_error(pixels)}
    train = SIDES[args.side]
    return measure(
        lambda: train(pixels),
        lambda: train(pixels[: 2 * RECIPE.batch_size]),
        steps=args.epochs,
        warmup=WARMUP,
    )


def stop_unless_equal(threads: int) -> Row:
    """Return the relative error of our loss against that of the plain network.

    Raises:
        SystemExit: If it is above the tolerance.
    """
    errors = spawn({"threads": threads, "side": "check"})
    error = errors.get("loss")
    if error is None or not error <= TOLERANCE:
        raise SystemExit(f"the two networks do not have the same loss: {errors}")
    return errors


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = options("Measure an epoch of an image model.", threads=(2, 1), repeats=5)
    parser.add_argument("--images", help="default: mnist if its files are there, else digits")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--epochs", type=int, default=3, help="measured per side and round")
    args = parser.parse_args()
    args.images = args.images or ("mnist" if is_there("mnist") else "digits")
    if BASE not in args.sides:
        args.sides.insert(0, BASE)
    return args


def main() -> None:
    """Measure, then print JSON to stdout and a table to stderr."""
    args = parse()
    if args.side:
        answer(partial(run_side, args))
        return
    report = begin(args, recipe=RECIPE.name, warmup=WARMUP)
    report["relative_errors"] = stop_unless_equal(args.threads[0])
    cells = [{"threads": n, "side": side} for n, side in product(args.threads, args.sides)]
    report["sides"] = compare(cells, args.repeats)
    for row in report["sides"]:
        base = find(report["sides"], threads=row["threads"], side=BASE)
        row |= {f"{figure}_ratio": ratio(row, base, figure) for figure in FIGURES}
    columns = {"threads": "d", "side": "s", **dict.fromkeys(FIGURES, ".1f")}
    table(report["sides"], columns | {f"{figure}_ratio": ".2f" for figure in FIGURES})
    finish(report, args.json)


if __name__ == "__main__":
    main()

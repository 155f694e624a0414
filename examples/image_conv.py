"""Convolutions and grey pixels, N(g(z), sigma^2): a sheet of images drawn from the prior.

Run as ``image_conv.py [SOURCE [FIELD=VALUE ...]]``: images, ``digits`` if not given, and fields of
the recipe that shall be other ones, such as ``pixel_sigma=0.1``. A larger sigma leaves more of an
image to noise: reconstructions blur, but what is drawn from the prior looks more like the data.
"""

import sys
from dataclasses import replace
from pathlib import Path

import vgae
from vgae.recipes.images import CONV64
from vgae.report.figures.images import reconstructions_figure, samples_figure
from vgae.runtime.streams import stream

source, *settings = sys.argv[1:] or ["digits"]
images = vgae.load_images(source)
enough = max(CONV64.epochs, 200_000 // len(images.train))  # more where images are few
changes = dict(setting.split("=") for setting in settings)
recipe = replace(CONV64, epochs=enough).override(changes)

result = vgae.fit_images(images, recipe=recipe)
model = result.model.cpu()
best = result.history[result.best_epoch - 1]
print(f"sigma^2 = {recipe.pixel_sigma**2:.3g}, {recipe.latent_channels} latent dimensions")
print(f"validation ELBO {best.val_elbo:.2f} nats per image in epoch {best.epoch}")

folder = Path("runs/image_conv")
folder.mkdir(parents=True, exist_ok=True)
samples = samples_figure(model, recipe.latent_channels, generator=stream(0, "noise"))
samples.savefig(folder / "samples.png")
reconstructions_figure(model, images.test).savefig(folder / "reconstructions.png")
print(folder)

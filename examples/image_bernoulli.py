"""Black and white pixels: what the model says of given images, of none, and of a given z.

Run as ``image_bernoulli.py [SOURCE [FIELD=VALUE ...]]``; the fields are those of the recipe.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from matplotlib.image import imsave

import vgae
from vgae.recipes.images import BERNOULLI200
from vgae.report.figures.sheets import sheet
from vgae.runtime.streams import stream

source, *settings = sys.argv[1:] or ["digits"]
images = vgae.load_images(source, binarize="static")  # the same draw as that of the training
enough = max(BERNOULLI200.epochs, 200_000 // len(images.train))  # more where images are few
changes = dict(setting.split("=") for setting in settings)
recipe = replace(BERNOULLI200, epochs=enough).override(changes)
model = vgae.fit_images(images, recipe=recipe).model.cpu()
decoder, noise = model.decoder, stream(0, "noise")
x = images.test[:10]
q = vgae.embed_images(model, x)  # transform: q.mu are 10 vectors of 100 numbers
with torch.no_grad():
    z = q.rsample(noise)  # posterior predictive: z ~ q(z | x) of given images
    posterior = torch.cat([x, decoder.mean(z), decoder.sample(z, noise)])
    z = torch.randn(10, recipe.latent_channels, generator=noise)  # prior predictive: z ~ N(0, I)
    prior = torch.cat([decoder.mean(z), decoder.sample(z, noise)])
    z = torch.lerp(q.mu[0], q.mu[1], torch.linspace(0, 1, 10)[:, None])  # z of your own
    sheets = {"posterior": posterior, "prior": prior, "given_z": decoder.mean(z)}

folder = Path("runs/image_bernoulli")
folder.mkdir(parents=True, exist_ok=True)
for name, pixels in sheets.items():
    tiles = sheet(pixels, columns=10).repeat(8, axis=0).repeat(8, axis=1)  # 8 x 8 dots a pixel
    imsave(folder / f"{name}.png", tiles, cmap="gray", vmin=0, vmax=1)
print(folder)

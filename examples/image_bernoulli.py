"""Black and white pixels: what the model says of given images, of none, and of a given z.

Run as ``image_bernoulli.py [SOURCE [FIELD=VALUE ...]]``: images, ``digits`` if not given, and
fields of the recipe that shall be other ones, such as ``epochs=20``.
"""

import sys
from pathlib import Path

import torch
from matplotlib.image import imsave

import vgae
from vgae.image_recipes import BERNOULLI200
from vgae.report.image_figures import sheet
from vgae.streams import stream

source, *settings = sys.argv[1:] or ["digits"]
recipe = BERNOULLI200.override(dict(setting.split("=") for setting in settings))
images = vgae.load_images(source, binarize=recipe.binarize)
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
    given = decoder.mean(z)

folder = Path("runs/image_bernoulli")
folder.mkdir(parents=True, exist_ok=True)
for name, pixels in {"posterior": posterior, "prior": prior, "given_z": given}.items():
    tiles = sheet(pixels, columns=10).repeat(8, axis=0).repeat(8, axis=1)
    imsave(folder / f"{name}.png", tiles, cmap="gray", vmin=0, vmax=1)
print(folder)

"""Kingma & Welling's auto-encoder: ELBO and log p(x) of images never seen, reconstructions.

Run as ``image_aevb.py [SOURCE [FIELD=VALUE ...]]``: images, ``digits`` if not given, and fields of
the recipe that shall be other ones, such as ``epochs=20``.
"""

import sys

import vgae
from vgae.recipes.images import KINGMA2013
from vgae.report.figures.images import write_image_figures

source, *settings = sys.argv[1:] or ["digits"]
recipe = KINGMA2013.override(dict(setting.split("=") for setting in settings))
images = vgae.load_images(source)
print(images)

result = vgae.fit_images(images, recipe=recipe)
scores = vgae.evaluate_images(result.model, images.test, num_samples=100)
print(f"ELBO     {scores.elbo:8.2f} nats per image, {scores.kl:.2f} of KL taken off")
print(f"log p(x) {scores.log_marginal:8.2f} +- {scores.log_marginal_error:.2f}")
print(f"{scores.active_units} of {scores.latent_channels} latent dimensions in use")

write_image_figures("runs/image_aevb", result.model, images, result.history)
print("runs/image_aevb")

"""A latent plane to look at: where each digit lies, and what every place decodes to.

Run as ``image_plane.py [SOURCE [FIELD=VALUE ...]]``: images, ``digits`` if not given, and fields
of the recipe that shall be other ones, such as ``epochs=20``.
"""

import sys
from pathlib import Path

import vgae
from vgae.recipes.images import default_recipe
from vgae.report.figures.images import manifold_figure
from vgae.report.figures.latent_plane import latent_figure

source, *settings = sys.argv[1:] or ["digits"]
images = vgae.load_images(source)
recipe = default_recipe(len(images.train))  # keras2d, or small2d where there are few images
recipe = recipe.override(dict(setting.split("=") for setting in settings))

result = vgae.fit_images(images, recipe=recipe)
best = result.history[result.best_epoch - 1]
print(f"{recipe.name}: validation ELBO {best.val_elbo:.2f} nats per image in epoch {best.epoch}")

folder = Path("runs/image_plane")
folder.mkdir(parents=True, exist_ok=True)
plane = latent_figure(result.model, images.test, images.y_test, name=images.name)
plane.savefig(folder / "plane.png", dpi=200)
manifold_figure(result.model, size=20).savefig(folder / "manifold.png")
print(folder)

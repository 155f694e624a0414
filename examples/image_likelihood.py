"""How far the ELBO lies below log p(x): importance sampling with ever more samples per image.

Run as ``image_likelihood.py [SOURCE [FIELD=VALUE ...]]``: images, ``digits`` if not given, and
fields of the recipe that shall be other ones, such as ``epochs=20``.
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

import vgae
from vgae.recipes.images import IWAE50

source, *settings = sys.argv[1:] or ["digits"]
recipe = IWAE50.override(dict(setting.split("=") for setting in settings))
images = vgae.load_images(source)
result = vgae.fit_images(images, recipe=recipe)
test = images.binarised(recipe.binarize, seed=0).test[:1000]

elbo, bounds = 0.0, {}
for k in (1, 5, 50, 500):  # k = 1 is the ELBO again, with other draws
    scores = vgae.evaluate_images(result.model, test, num_samples=k)
    elbo, bounds[k] = scores.elbo, scores.log_marginal
    print(f"k = {k:3}: log p(x) at least {bounds[k]:.2f} nats per image, ELBO {elbo:.2f}")

figure = Figure(figsize=(5, 3), layout="constrained")
axes = figure.subplots()
axes.semilogx([*bounds], [*bounds.values()], marker="o", label="importance-weighted bound")
axes.axhline(elbo, color="grey", linestyle="--", label="ELBO")
axes.set(xlabel="samples per image, k", ylabel="nats per image")
axes.legend()
folder = Path("runs/image_likelihood")
folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "bounds.png", dpi=200)
print(folder)

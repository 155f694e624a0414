"""Training: the loop, fit for graphs, fit_images for images, checkpoints."""

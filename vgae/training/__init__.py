"""Training: the loop, graphs, images, checkpoints."""

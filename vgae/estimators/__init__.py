"""Estimators of scikit-learn for the models."""

from vgae.estimators.graphs import LinkPredictor, VGAEEmbedder
from vgae.estimators.images import ImageVAE

__all__ = ["ImageVAE", "LinkPredictor", "VGAEEmbedder"]

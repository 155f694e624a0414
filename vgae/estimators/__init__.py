"""Estimators of scikit-learn for the models."""

from vgae.estimators.graphs import LinkPredictor, VGAEEmbedder
from vgae.estimators.images import ImageVAE
from vgae.estimators.search import LinkSearch

__all__ = ["ImageVAE", "LinkPredictor", "LinkSearch", "VGAEEmbedder"]

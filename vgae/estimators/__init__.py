"""Estimators: the models in the form that scikit-learn gives its own."""

from vgae.estimators.graphs import LinkPredictor, VGAEEmbedder
from vgae.estimators.images import ImageVAE

__all__ = ["ImageVAE", "LinkPredictor", "VGAEEmbedder"]

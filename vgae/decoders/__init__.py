"""Decoders: each scores a target given a sample of the latent vectors."""

from vgae.decoders.base import GraphDecoder, MaskedLinks
from vgae.decoders.bernoulli import BernoulliDecoder
from vgae.decoders.generators import ConvGenerator, ImageNetwork, MLPGenerator
from vgae.decoders.inner_product import InnerProductDecoder
from vgae.decoders.normal import NormalDecoder

__all__ = [
    "BernoulliDecoder",
    "ConvGenerator",
    "GraphDecoder",
    "ImageNetwork",
    "InnerProductDecoder",
    "MLPGenerator",
    "MaskedLinks",
    "NormalDecoder",
]

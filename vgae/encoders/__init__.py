"""Encoders: each maps its inputs to a posterior."""

from vgae.encoders._convolution import feature_scale
from vgae.encoders.base import GraphEncoder
from vgae.encoders.conv import ConvEncoder
from vgae.encoders.gcn import GCNEncoder
from vgae.encoders.linear import LinearGCNEncoder
from vgae.encoders.mlp import MLPEncoder
from vgae.encoders.pyg import PyGEncoder

__all__ = [
    "ConvEncoder",
    "GCNEncoder",
    "GraphEncoder",
    "LinearGCNEncoder",
    "MLPEncoder",
    "PyGEncoder",
    "feature_scale",
]

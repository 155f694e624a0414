"""Encoders: each maps its inputs to a posterior."""

from vgae.encoders._convolution import feature_scale
from vgae.encoders.gcn import GCNEncoder
from vgae.encoders.linear import LinearGCNEncoder

__all__ = ["GCNEncoder", "LinearGCNEncoder", "feature_scale"]

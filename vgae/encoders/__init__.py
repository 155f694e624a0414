"""Encoders: each maps its inputs to a posterior."""

from vgae.encoders.gcn import GCNEncoder
from vgae.encoders.linear import LinearGCNEncoder

__all__ = ["GCNEncoder", "LinearGCNEncoder"]

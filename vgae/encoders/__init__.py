"""Encoders: each maps its inputs to a posterior."""

from vgae.encoders._features import CSRFeatures as CSRFeatures
from vgae.encoders.base import GraphEncoder as GraphEncoder
from vgae.encoders.base import feature_scale as feature_scale
from vgae.encoders.conv import ConvEncoder as ConvEncoder
from vgae.encoders.directed import DirectedGCNEncoder as DirectedGCNEncoder
from vgae.encoders.gcn import GCNEncoder as GCNEncoder
from vgae.encoders.linear import LinearGCNEncoder as LinearGCNEncoder
from vgae.encoders.mlp import MLPEncoder as MLPEncoder
from vgae.encoders.pyg import PosteriorEncoder as PosteriorEncoder
from vgae.encoders.pyg import PyGEncoder as PyGEncoder
from vgae.encoders.rgcn import RGCNEncoder as RGCNEncoder

"""Decoders: each scores a target, given a sample of the latent vectors."""

from vgae.decoders.base import GraphDecoder as GraphDecoder
from vgae.decoders.base import MaskedLinks as MaskedLinks
from vgae.decoders.bernoulli import BernoulliDecoder as BernoulliDecoder
from vgae.decoders.dist_mult import DistMultDecoder as DistMultDecoder
from vgae.decoders.generators import ConvGenerator as ConvGenerator
from vgae.decoders.generators import MLPGenerator as MLPGenerator
from vgae.decoders.inner_product import InnerProductDecoder as InnerProductDecoder
from vgae.decoders.joint import JointDecoder as JointDecoder
from vgae.decoders.joint import JointTarget as JointTarget
from vgae.decoders.joint import PartDecoder as PartDecoder
from vgae.decoders.normal import NormalDecoder as NormalDecoder

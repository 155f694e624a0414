"""Variational graph auto-encoders: an encoder returns a posterior, a decoder scores a target.

The names below are loaded when they are first used, so that ``import vgae`` is instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vgae.version import __version__ as __version__

if TYPE_CHECKING:
    from vgae.data.files import read_graph as read_graph
    from vgae.data.named import load_dataset as load_dataset
    from vgae.data.named_images import load_images as load_images
    from vgae.decoders import BernoulliDecoder as BernoulliDecoder
    from vgae.decoders import InnerProductDecoder as InnerProductDecoder
    from vgae.decoders import NormalDecoder as NormalDecoder
    from vgae.embedding import embed as embed
    from vgae.embedding import embed_images as embed_images
    from vgae.encoders import ConvEncoder as ConvEncoder
    from vgae.encoders import GCNEncoder as GCNEncoder
    from vgae.encoders import LinearGCNEncoder as LinearGCNEncoder
    from vgae.encoders import MLPEncoder as MLPEncoder
    from vgae.estimators import ImageVAE as ImageVAE
    from vgae.estimators import LinkPredictor as LinkPredictor
    from vgae.estimators import VGAEEmbedder as VGAEEmbedder
    from vgae.evaluation import calibrate as calibrate
    from vgae.evaluation import evaluate as evaluate
    from vgae.gaussian import DiagGaussian as DiagGaussian
    from vgae.gaussian import PointMass as PointMass
    from vgae.graph import Graph as Graph
    from vgae.image_evaluation import evaluate_images as evaluate_images
    from vgae.image_training import fit_images as fit_images
    from vgae.images import Images as Images
    from vgae.link_training import fit as fit
    from vgae.links import LinkSplit as LinkSplit
    from vgae.links import split_links as split_links
    from vgae.predict import LinkTable as LinkTable
    from vgae.predict import predict_links as predict_links
    from vgae.predict import score_links as score_links
    from vgae.pretrained import from_pretrained as from_pretrained
    from vgae.pretrained import save_pretrained as save_pretrained
    from vgae.run import load_run as load_run
    from vgae.train import epochs as epochs
    from vgae.vae import VAE as VAE

_HOME = {
    "VAE": "vgae.vae",
    "BernoulliDecoder": "vgae.decoders",
    "ConvEncoder": "vgae.encoders",
    "DiagGaussian": "vgae.gaussian",
    "GCNEncoder": "vgae.encoders",
    "Graph": "vgae.graph",
    "ImageVAE": "vgae.estimators",
    "Images": "vgae.images",
    "InnerProductDecoder": "vgae.decoders",
    "LinearGCNEncoder": "vgae.encoders",
    "LinkPredictor": "vgae.estimators",
    "LinkSplit": "vgae.links",
    "LinkTable": "vgae.predict",
    "MLPEncoder": "vgae.encoders",
    "NormalDecoder": "vgae.decoders",
    "PointMass": "vgae.gaussian",
    "VGAEEmbedder": "vgae.estimators",
    "calibrate": "vgae.evaluation",
    "embed": "vgae.embedding",
    "embed_images": "vgae.embedding",
    "epochs": "vgae.train",
    "evaluate": "vgae.evaluation",
    "evaluate_images": "vgae.image_evaluation",
    "fit": "vgae.link_training",
    "fit_images": "vgae.image_training",
    "from_pretrained": "vgae.pretrained",
    "load_dataset": "vgae.data.named",
    "load_images": "vgae.data.named_images",
    "load_run": "vgae.run",
    "predict_links": "vgae.predict",
    "read_graph": "vgae.data.files",
    "save_pretrained": "vgae.pretrained",
    "score_links": "vgae.predict",
    "split_links": "vgae.links",
}

__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'vgae' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

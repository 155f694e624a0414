"""Variational graph auto-encoders: an encoder returns a posterior, a decoder scores a target.

The names below, and modules such as ``vgae.encoders``, are imported on first use, so that
``import vgae`` is instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vgae.version import __version__ as __version__

if TYPE_CHECKING:
    from vgae.data.files import read_graph as read_graph
    from vgae.data.images import Images as Images
    from vgae.data.named import load_dataset as load_dataset
    from vgae.data.named_images import load_images as load_images
    from vgae.data.planetoid import public_split as public_split
    from vgae.data.splits import read_split as read_split
    from vgae.decoders import BernoulliDecoder as BernoulliDecoder
    from vgae.decoders import DistMultDecoder as DistMultDecoder
    from vgae.decoders import InnerProductDecoder as InnerProductDecoder
    from vgae.decoders import NormalDecoder as NormalDecoder
    from vgae.encoders import ConvEncoder as ConvEncoder
    from vgae.encoders import GCNEncoder as GCNEncoder
    from vgae.encoders import LinearGCNEncoder as LinearGCNEncoder
    from vgae.encoders import MLPEncoder as MLPEncoder
    from vgae.encoders import RGCNEncoder as RGCNEncoder
    from vgae.estimators import ImageVAE as ImageVAE
    from vgae.estimators import LinkPredictor as LinkPredictor
    from vgae.estimators import LinkSearch as LinkSearch
    from vgae.estimators import VGAEEmbedder as VGAEEmbedder
    from vgae.estimators.anndata import embed_anndata as embed_anndata
    from vgae.evaluation.clusters import Clusters as Clusters
    from vgae.evaluation.clusters import cluster as cluster
    from vgae.evaluation.features import evaluate_features as evaluate_features
    from vgae.evaluation.images import evaluate_images as evaluate_images
    from vgae.evaluation.links import calibrate as calibrate
    from vgae.evaluation.links import evaluate as evaluate
    from vgae.gaussian import DiagGaussian as DiagGaussian
    from vgae.gaussian import PointMass as PointMass
    from vgae.graphs.collection import GraphCollection as GraphCollection
    from vgae.graphs.feature_split import split_features as split_features
    from vgae.graphs.graph import Graph as Graph
    from vgae.graphs.split import LinkSplit as LinkSplit
    from vgae.graphs.split import split_links as split_links
    from vgae.graphs.typed import TypedGraph as TypedGraph
    from vgae.graphs.typed_split import TypedSplit as TypedSplit
    from vgae.models.embedding import embed as embed
    from vgae.models.embedding import embed_images as embed_images
    from vgae.models.graph_vectors import graph_vectors as graph_vectors
    from vgae.models.hub import push_to_hub as push_to_hub
    from vgae.models.own import use_code as use_code
    from vgae.models.pretrained import from_pretrained as from_pretrained
    from vgae.models.pretrained import save_pretrained as save_pretrained
    from vgae.models.tensors import export_encoder as export_encoder
    from vgae.prediction.cluster_table import ClusterTable as ClusterTable
    from vgae.prediction.cluster_table import describe_clusters as describe_clusters
    from vgae.prediction.features import impute_features as impute_features
    from vgae.prediction.link_table import LinkTable as LinkTable
    from vgae.prediction.links import predict_links as predict_links
    from vgae.prediction.links import score_links as score_links
    from vgae.runs.clusters import cluster_run as cluster_run
    from vgae.runs.lifecycle import load_run as load_run
    from vgae.runs.table import run_table as run_table
    from vgae.runs.table_rows import compare as compare
    from vgae.runs.tuning import tune as tune
    from vgae.training.folds import cross_fit as cross_fit
    from vgae.training.images import fit_images as fit_images
    from vgae.training.links import fit as fit
    from vgae.training.loop import epochs as epochs
    from vgae.vae import VAE as VAE

_HOME = {
    "VAE": "vgae.vae",
    "BernoulliDecoder": "vgae.decoders",
    "Clusters": "vgae.evaluation.clusters",
    "ClusterTable": "vgae.prediction.cluster_table",
    "ConvEncoder": "vgae.encoders",
    "DistMultDecoder": "vgae.decoders",
    "DiagGaussian": "vgae.gaussian",
    "GCNEncoder": "vgae.encoders",
    "Graph": "vgae.graphs.graph",
    "GraphCollection": "vgae.graphs.collection",
    "ImageVAE": "vgae.estimators",
    "Images": "vgae.data.images",
    "InnerProductDecoder": "vgae.decoders",
    "LinearGCNEncoder": "vgae.encoders",
    "LinkPredictor": "vgae.estimators",
    "LinkSearch": "vgae.estimators",
    "LinkSplit": "vgae.graphs.split",
    "LinkTable": "vgae.prediction.link_table",
    "MLPEncoder": "vgae.encoders",
    "NormalDecoder": "vgae.decoders",
    "PointMass": "vgae.gaussian",
    "RGCNEncoder": "vgae.encoders",
    "TypedGraph": "vgae.graphs.typed",
    "TypedSplit": "vgae.graphs.typed_split",
    "VGAEEmbedder": "vgae.estimators",
    "calibrate": "vgae.evaluation.links",
    "cluster": "vgae.evaluation.clusters",
    "cluster_run": "vgae.runs.clusters",
    "compare": "vgae.runs.table_rows",
    "cross_fit": "vgae.training.folds",
    "describe_clusters": "vgae.prediction.cluster_table",
    "embed": "vgae.models.embedding",
    "embed_anndata": "vgae.estimators.anndata",
    "embed_images": "vgae.models.embedding",
    "epochs": "vgae.training.loop",
    "evaluate": "vgae.evaluation.links",
    "evaluate_features": "vgae.evaluation.features",
    "evaluate_images": "vgae.evaluation.images",
    "export_encoder": "vgae.models.tensors",
    "fit": "vgae.training.links",
    "fit_images": "vgae.training.images",
    "from_pretrained": "vgae.models.pretrained",
    "graph_vectors": "vgae.models.graph_vectors",
    "impute_features": "vgae.prediction.features",
    "load_dataset": "vgae.data.named",
    "load_images": "vgae.data.named_images",
    "load_run": "vgae.runs.lifecycle",
    "predict_links": "vgae.prediction.links",
    "public_split": "vgae.data.planetoid",
    "push_to_hub": "vgae.models.hub",
    "read_graph": "vgae.data.files",
    "read_split": "vgae.data.splits",
    "run_table": "vgae.runs.table",
    "save_pretrained": "vgae.models.pretrained",
    "score_links": "vgae.prediction.links",
    "split_features": "vgae.graphs.feature_split",
    "split_links": "vgae.graphs.split",
    "tune": "vgae.runs.tuning",
    "use_code": "vgae.models.own",
}

_MODULES = (
    *("data", "decoders", "encoders", "errors", "estimators", "evaluation", "gaussian", "graphs"),
    *("kernels", "layers", "models", "prediction", "recipes", "report", "runs", "runtime"),
    *("testing", "training"),
)

__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _MODULES:  # import_module binds it, so that the next access does not come here
        return import_module(f"vgae.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'vgae' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""The sums over all pairs and the sparse products; the only place that knows of devices."""

from vgae.kernels._all_pairs import Precision
from vgae.kernels._sampled import PAIRS_PER_NODE
from vgae.kernels.inner_product import PairNll, Pairs, inner_product_nll
from vgae.kernels.spmm import EdgeOperator, SparseOperator

__all__ = [
    "PAIRS_PER_NODE",
    "EdgeOperator",
    "PairNll",
    "Pairs",
    "Precision",
    "SparseOperator",
    "inner_product_nll",
]

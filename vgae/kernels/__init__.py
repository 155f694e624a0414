"""The sums over all pairs and the sparse products; the only place that knows of devices."""

from vgae.kernels._all_pairs import Precision
from vgae.kernels._sampled import PAIRS_PER_NODE
from vgae.kernels.cost import EXACT_SECONDS, Cost, choose_pairs, pairs_cost
from vgae.kernels.inner_product import PairNll, Pairs, inner_product_nll
from vgae.kernels.spmm import EdgeOperator, SparseOperator

__all__ = [
    "EXACT_SECONDS",
    "PAIRS_PER_NODE",
    "Cost",
    "EdgeOperator",
    "PairNll",
    "Pairs",
    "Precision",
    "SparseOperator",
    "choose_pairs",
    "inner_product_nll",
    "pairs_cost",
]

"""Sums over all pairs of nodes and sparse products; the only device-specific code."""

from vgae.kernels._all_pairs import Precision
from vgae.kernels._available import FEWEST_SPARSE, works
from vgae.kernels._sampled import PAIRS_PER_NODE, Sampled
from vgae.kernels.blocks import Blocks
from vgae.kernels.cost import (
    EXACT_SECONDS,
    Cost,
    Logits,
    Pairs,
    choose_pairs,
    entry_bytes,
    pairs_cost,
)
from vgae.kernels.inner_product import PairNll, all_pairs, inner_product_nll, pair_loss
from vgae.kernels.spmm import EdgeOperator, SparseOperator

__all__ = [
    "EXACT_SECONDS",
    "FEWEST_SPARSE",
    "PAIRS_PER_NODE",
    "Blocks",
    "Cost",
    "EdgeOperator",
    "Logits",
    "PairNll",
    "Pairs",
    "Precision",
    "Sampled",
    "SparseOperator",
    "all_pairs",
    "choose_pairs",
    "entry_bytes",
    "inner_product_nll",
    "pair_loss",
    "pairs_cost",
    "works",
]

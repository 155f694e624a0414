"""The sums over all pairs and the sparse products; the only place that knows of devices."""

from vgae.kernels.inner_product import PairNll, inner_product_nll
from vgae.kernels.spmm import EdgeOperator, SparseOperator

__all__ = ["EdgeOperator", "PairNll", "SparseOperator", "inner_product_nll"]

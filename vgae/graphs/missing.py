"""Missing entries of the features: which ones they are, and what an encoder gets for them."""

import logging
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.graphs.arrays import torch_csr
from vgae.kernels.csr import scipy_csr

log = logging.getLogger(__name__)


def marked(pattern: Any) -> Tensor | None:
    """Return the missing entries as a tensor, sparse CSR of True; ``None`` if there are none.

    Args:
        pattern: Matrix of scipy, or array, whose nonzero entries are missing, shape ``(N, F)``.
    """
    csr = sp.csr_array(pattern, dtype=bool, copy=True)
    csr.eliminate_zeros()
    csr.sort_indices()
    if not csr.nnz:
        return None
    return torch_csr(csr)


def marked_entries(rows: Tensor, columns: Tensor, shape: tuple[int, int]) -> Tensor | None:
    """Return entries, in any order, as :func:`marked` does."""
    ones = np.ones(len(rows), dtype=bool)
    return marked(sp.coo_array((ones, (rows.numpy(), columns.numpy())), shape=shape))


def known_values(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the values at entries of features, dense or sparse CSR, shape ``(K,)``."""
    if x.layout == torch.strided:
        return x[rows, columns]
    stored = entries_of(x)
    codes = stored[0] * x.shape[1] + stored[1]
    wanted = rows * x.shape[1] + columns
    if not len(codes):
        return torch.zeros(len(wanted))
    place = torch.searchsorted(codes, wanted).clamp(max=len(codes) - 1)
    return torch.where(codes[place] == wanted, x.values()[place], 0.0)


def without_gaps(x: Tensor | None, name: str) -> tuple[Tensor | None, Tensor | None]:
    """Return features with their NaN replaced (:func:`filled`), and where they were.

    A column without any known entry is a warning.
    """
    if x is None:
        return None, None
    if x.layout == torch.strided:
        missing = marked(x.isnan().numpy())
    else:
        gaps = scipy_csr(x)
        missing = marked(sp.csr_array((np.isnan(gaps.data), gaps.indices, gaps.indptr), x.shape))
        x = torch_csr(sp.csr_array((np.nan_to_num(gaps.data), gaps.indices, gaps.indptr), x.shape))
    if missing is None:
        return x, None
    x = filled(x.nan_to_num() if x.layout == torch.strided else x, missing)
    log.info(
        "%s: %s of %s features are missing: left out of the targets, and an encoder gets %s",
        *(name, f"{len(missing.values()):,}", f"{x.numel():,}"),
        "the mean of the column" if x.layout == torch.strided else "0, as in most entries",
    )
    if unknown := int((column_sums(x, missing)[1] == 0).sum()):
        log.warning("%s: %d columns of the features have no known entry", name, unknown)
    return x, missing


def with_gaps(x: Any, missing: Tensor) -> Tensor:
    """Return features with NaN at the missing entries, stored in a sparse matrix."""
    if x.layout == torch.strided:
        at = entries_of(missing)
        return x.index_put((at[0], at[1]), torch.tensor(np.nan, dtype=x.dtype))
    gaps: Any = scipy_csr(missing).astype(np.float32)
    gaps.data[:] = np.nan
    whole: Any = sp.csr_array(scipy_csr(x) + gaps)
    whole.sort_indices()
    return torch_csr(whole)


def entries_of(missing: Tensor | None) -> Tensor:
    """Return row and column of each missing entry, ascending, int64, shape ``(2, K)``."""
    if missing is None:
        return torch.zeros(2, 0, dtype=torch.int64)
    crow, col = missing.crow_indices().long(), missing.col_indices().long()
    rows = torch.arange(missing.shape[0], device=crow.device).repeat_interleave(crow.diff())
    return torch.stack([rows, col])


def rows_dense(matrix: Tensor, start: int, end: int) -> Tensor:
    """Return rows of a matrix, dense or sparse CSR, dense, shape ``(end - start, F)``."""
    if matrix.layout == torch.strided:
        return matrix[start:end]
    crow = matrix.crow_indices()[start : end + 1].long()
    first, last = int(crow[0]), int(crow[-1])
    dense = torch.zeros((end - start, matrix.shape[1]), dtype=matrix.dtype, device=crow.device)
    rows = torch.arange(end - start, device=crow.device).repeat_interleave(crow.diff())
    dense[rows, matrix.col_indices()[first:last].long()] = matrix.values()[first:last]
    return dense


def column_sums(x: Tensor, missing: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return sum and number of the known entries of each column, float64, shape ``(F,)``.

    Args:
        x: Features, dense or sparse CSR, with anything finite at the missing entries.
        missing: Result of :func:`marked`.
    """
    rows, columns = x.shape
    if x.layout == torch.strided:
        total = x.sum(dim=0, dtype=torch.float64)
    else:
        total = torch.zeros(columns, dtype=torch.float64)
        total.index_add_(0, x.col_indices().long(), x.values().double())
    count = torch.full((columns,), float(rows), dtype=torch.float64)
    if missing is not None:
        at = entries_of(missing)
        count -= torch.bincount(at[1], minlength=columns)
        if x.layout == torch.strided:
            total.index_add_(0, at[1], -x[at[0], at[1]].double())
    return total, count


def num_truths(x: Tensor, missing: Tensor | None) -> int:
    """Return the number of columns whose known entries are 0 and 1, both of them.

    Args:
        x: Features, dense or sparse CSR.
        missing: Result of :func:`marked`.
    """
    if x.layout == torch.strided:
        gaps = torch.zeros_like(x, dtype=torch.bool) if missing is None else missing.to_dense()
        ones = ((x == 1) & ~gaps).any(dim=0)
        odd = ((x != 0) & (x != 1) & ~gaps).any(dim=0)
        return int((ones & ((x == 0) & ~gaps).any(dim=0) & ~odd).sum())
    ones, odd = (torch.zeros(x.shape[1], dtype=torch.bool) for _ in range(2))
    columns, values = x.col_indices().long(), x.values()
    ones[columns[values == 1]] = True
    odd[columns[(values != 0) & (values != 1)]] = True
    return int((ones & ~odd).sum())


def filled(x: Tensor, missing: Tensor | None, means: Tensor | None = None) -> Tensor:
    """Return features in which a missing entry has no effect of its own.

    In dense features it is the mean of the known entries of its column, 0 if there are none. In
    sparse ones it is 0, the value of almost all entries, and is not stored.

    Args:
        x: Features, dense or sparse CSR, with anything finite at the missing entries.
        missing: Result of :func:`marked`.
        means: Means of the columns to use instead, shape ``(F,)``.
    """
    if missing is None:
        return x
    if x.layout != torch.strided:
        known: Any = scipy_csr(x).astype(np.float32)
        known = sp.csr_array(known - known.multiply(scipy_csr(missing)))
        known.eliminate_zeros()
        known.sort_indices()
        return torch_csr(known)
    at = entries_of(missing)
    x = x.clone()
    if means is None:
        x[at[0], at[1]] = 0
        total, count = column_sums(x, missing)
        means = total / count.clamp(min=1)
    x[at[0], at[1]] = means.to(x.dtype)[at[1]]
    return x

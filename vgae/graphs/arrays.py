"""Conversion and checks of arrays from other libraries."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vgae.errors import DataError
from vgae.graphs.defaults import MissingFeatures
from vgae.graphs.large_features import (
    column_means,
    dense_digest,
    mapped_features,
    mapped_rows,
    stays_in_file,
)
from vgae.kernels.csr import csr_tensor, scipy_csr
from vgae.runtime.mapped import as_mapped

_REMEDY = (
    "; missing_features='impute' (--missing-features impute) takes NaN for missing, as for"
    " reconstruct='features'"
)


class FeatureBlock(NamedTuple):
    """Features of the nodes of one side or type.

    Attributes:
        name: Name of the side or type, which the names of its columns begin with.
        nodes: Numbers of its nodes in the graph, all different, int64, shape ``(n,)``.
        x: Their features in this order, shape ``(n, F)``; ``None`` for one column per node that
            is 1 for this node alone.
        feature_names: Name of each column; by default 0 to F - 1.
    """

    name: str
    nodes: np.ndarray
    x: Any = None
    feature_names: Sequence[Any] = ()


def block_features(
    blocks: Sequence[FeatureBlock], *, gaps: bool = False
) -> tuple[Tensor, tuple[str, ...]]:
    """Return the features of all blocks, each in columns of its own, and their names.

    A linear map of these features is one map per block, whatever their widths.

    Args:
        blocks: Blocks that together have each node of the graph once.
        gaps: Whether features may be NaN.

    Returns:
        Features, sparse CSR, float32, shape ``(N, sum of F)``; and the names ``BLOCK:COLUMN``.

    Raises:
        DataError: ``NODE_SET_MISMATCH`` if a block has not one row per node; ``FEATURE_NAMES`` if
            it has not one name per column; or as :func:`feature_tensor`.
    """
    parts, names = [], list[str]()
    for block in blocks:
        where = f"x of {block.name!r:.60}" if block.name else "x"
        num_nodes = len(block.nodes)
        part: Any = sp.eye_array(num_nodes, format="csr")
        if block.x is not None:
            try:
                part = scipy_csr(feature_tensor(block.x, gaps=gaps))
            except DataError as error:
                what = str(error).removeprefix("x ")
                raise DataError(error.code, f"{where} {what}") from None
        if part.shape[0] != num_nodes:
            raise DataError(
                "NODE_SET_MISMATCH",
                f"{where} must have one row per node of it ({num_nodes}), got {part.shape[0]}.",
            )
        own = block.feature_names or range(part.shape[1])
        if len(own) != part.shape[1]:
            raise DataError(
                "FEATURE_NAMES",
                f"feature_names must name each of the {part.shape[1]} columns of {where}, got"
                f" {len(own)}.",
            )
        parts.append(part)
        names += [f"{block.name}:{column}" if block.name else str(column) for column in own]
    whole: Any = sp.block_diag(parts, format="csr")
    place = np.concatenate([block.nodes for block in blocks]).argsort()
    return feature_tensor(whole[place], gaps=gaps), tuple(names)


def dense_array(value: Any, name: str, code: str) -> np.ndarray:
    """Return a dense tensor, array or nested list as an array, or raise."""
    if isinstance(value, Tensor) and value.layout != torch.strided:
        raise DataError(code, f"{name} must be dense, got a tensor of layout {value.layout}.")
    if isinstance(value, Tensor):
        value = value.detach().cpu().resolve_conj().resolve_neg()
        # numpy has no bfloat16.
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    try:
        return np.asarray(value)
    except ValueError:
        raise DataError(code, f"the rows of {name} must be equally long.") from None


def feature_tensor(x: Any, *, gaps: bool = False) -> Tensor:
    """Return a copy of the features as float32, dense or CSR, with NaN only if ``gaps``.

    Large ones that are mapped into memory are not copied; see :mod:`vgae.graphs.large_features`.
    """
    if not gaps and (checked := as_mapped(x)) is not None:
        return checked
    in_file = stays_in_file(x) and not gaps
    if isinstance(x, Tensor) and x.layout in (torch.sparse_csr, torch.sparse_coo):
        given: Any = scipy_from_tensor(x.detach().cpu())
    else:
        given = x if in_file or sp.issparse(x) else dense_array(x, "x", "FEATURE_SHAPE")
    if given.ndim != 2 or given.shape[1] == 0:
        raise DataError(
            "FEATURE_SHAPE", f"x must have shape (N, F) with F > 0, got {given.shape}."
        )
    if given.dtype.kind not in "biuf":
        raise DataError("FEATURE_DTYPE", f"x must be numbers, got dtype {given.dtype}.")
    if in_file:
        return mapped_features(given)
    csr = checked_csr(given, np.float32) if sp.issparse(given) else None
    with np.errstate(over="ignore"):
        # A copy in row-major order, independent of the caller's array.
        values = given.astype(np.float32, order="C") if csr is None else csr.data
    bad = np.flatnonzero(np.isinf(values) if gaps else ~np.isfinite(values))
    if bad.size:
        first = bad[0]
        if csr is None:
            row, column = np.divmod(first, given.shape[1])
        else:
            row, column = np.searchsorted(csr.indptr, first, "right") - 1, csr.indices[first]
        raise DataError(
            "FEATURE_NONFINITE",
            f"x must be finite in float32, got {bad.size} other values, the first in row {row},"
            f" column {column}{_REMEDY if np.isnan(values.reshape(-1)[bad]).all() else ''}.",
        )
    if csr is None:
        return torch.from_numpy(values)
    return torch_csr(csr)


def torch_csr(csr: Any) -> Tensor:
    """Return a sorted CSR matrix of scipy, which shares its values, as a sparse tensor."""
    index = np.int32 if csr.nnz < 2**31 else np.int64
    crow, col = (torch.from_numpy(part.astype(index)) for part in (csr.indptr, csr.indices))
    return csr_tensor(crow, col, torch.from_numpy(csr.data), csr.shape)


def scipy_from_tensor(x: Tensor) -> Any:
    """Return a sparse tensor as an unchecked matrix of scipy."""
    csr = x.layout == torch.sparse_csr
    values = x.values() if csr else x._values()
    # scipy has no matrices of half precision.
    values = values.float() if values.is_floating_point() else values
    values = dense_array(values, "x", "FEATURE_SHAPE")
    if csr:
        return csr_matrix(values, x.col_indices().numpy(), x.crow_indices().numpy(), x.shape)
    try:
        return sp.coo_array((values, x._indices().numpy()), shape=tuple(x.shape))
    except ValueError as error:
        raise _corrupt(error) from None


def _corrupt(error: Exception) -> DataError:
    return DataError("SPARSE_CORRUPT", f"the sparse matrix is corrupt: {error}.")


def csr_matrix(data: Any, indices: Any, indptr: Any, shape: Sequence[int]) -> sp.csr_array:
    """Return the CSR matrix of scipy with these parts.

    Raises:
        DataError: If the number of entries is inconsistent, or an index is out of range.
    """
    try:
        # scipy itself drops surplus entries and rounds indices.
        if not (data.shape == indices.shape == (indptr[-1],) and indptr.dtype.kind in "iu"):
            raise ValueError("data, indices and indptr disagree on the number of entries")
        if indices.dtype.kind not in "iu":
            raise ValueError(f"indices must be integers, got {indices.dtype}")
        matrix = sp.csr_array((data, indices, indptr), shape=tuple(shape))
        check_format(matrix)
    except (IndexError, OverflowError, TypeError, ValueError) as error:
        raise _corrupt(error) from None
    return matrix


def check_format(matrix: Any) -> None:
    """Raise ``ValueError`` unless the indices of a compressed matrix are safe for native code."""
    # scipy checks the starts of rows only if there are entries.
    if (matrix.indptr[1:] < matrix.indptr[:-1]).any():
        raise ValueError("indptr must not fall")
    matrix.check_format(full_check=True)


def checked_csr(matrix: Any, dtype: Any = None) -> sp.csr_array:
    """Return a sorted CSR copy without repeats and explicit zeros.

    The indices are checked before the conversion, which could write to foreign memory.
    """
    try:
        if sp.issparse(matrix) and matrix.format == "coo":
            matrix = sp.coo_array((matrix.data, matrix.coords), shape=matrix.shape)
        elif sp.issparse(matrix) and matrix.format in ("csr", "csc", "bsr"):
            if not len(matrix.data) == len(matrix.indices) == matrix.indptr[-1]:
                raise ValueError("data, indices and indptr disagree on the number of entries")
            matrix = matrix.copy()
            check_format(matrix)
        with np.errstate(over="ignore"):
            csr = sp.csr_array(matrix, dtype=dtype, copy=True)
    except ValueError as error:
        raise _corrupt(error) from None
    csr.sum_duplicates()
    csr.eliminate_zeros()
    return csr


def sha256(head: str, *arrays: np.ndarray | None) -> str:
    """Return the digest of a text and of arrays, independent of the machine's byte order."""
    digest = hashlib.sha256(head.encode())
    for array in arrays:
        if array is None:
            digest.update(b" None ")
            continue
        array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        digest.update(f" {array.dtype.str} {array.shape} ".encode())
        digest.update(array.reshape(-1).data)
    return digest.hexdigest()


def label_tensor(y: Any, name: str, num: int | None, of: str) -> Tensor:
    """Return labels as int64, shape ``(num,)`` if it is given, or raise.

    Args:
        y: Labels, 0 or above, or -1 where unknown.
        name: Name of the labels in messages.
        num: Required length.
        of: Name of the labelled things, in the singular.
    """
    array = dense_array(y, name, "LABELS")
    if array.ndim != 1 or array.dtype.kind not in "iu" or num not in (None, len(array)):
        shape = "(N,)" if num is None else f"({num},)"
        raise DataError(
            "LABELS",
            f"{name} must be integers of shape {shape}, one per {of}, got shape {array.shape} of"
            f" {array.dtype}.",
        )
    bad = (array < -1) | (array > np.iinfo(np.int64).max)
    if bad.any():
        raise DataError(
            "LABELS",
            f"{name} must be integers from 0 on, or -1 where unknown, got {array[bad.argmax()]} at"
            f" {of} {bad.argmax()}.",
        )
    return torch.from_numpy(array.astype(np.int64))


def graph_digest(
    links: str,
    weight: Tensor | None,
    x: Tensor | None,
    missing: Tensor | None = None,
    **others: Tensor | None,
) -> str:
    """Return :attr:`vgae.Graph.fingerprint`, given the one of its nodes and links.

    Only the ``others`` that are not ``None`` count, by their names.
    """
    head = f"vgae-graph-1 {links} {0 if x is None else x.shape[1]}"
    if weight is not None:
        head += " " + sha256("weights", weight.numpy())
    for name, part in others.items():
        if part is not None:
            head += " " + sha256(name, part.numpy())
    if x is None:
        return sha256(head)
    if missing is not None:
        gaps = scipy_csr(missing)
        at = gaps.indptr.astype(np.int64), gaps.indices.astype(np.int64)
        head += " " + sha256("missing", *at)
    if x.layout == torch.strided and x.dtype == torch.float32:
        return dense_digest(head, x)
    csr = scipy_csr(x)
    return sha256(head, csr.indptr.astype(np.int64), csr.indices.astype(np.int64), csr.data)


def rows_of(x: Any, rows: np.ndarray, missing: MissingFeatures) -> Any:
    """Return these rows of features; for -1, zeros, the means of the columns, or NaN."""
    if np.array_equal(rows, np.arange(x.shape[0])):
        return x
    if missing != "impute" and (tensor := as_mapped(x)) is not None:
        means = column_means(tensor) * (missing == "mean")
        return mapped_rows(x, rows, means[None].astype(x.dtype))
    last = np.full((1, x.shape[1]), np.nan, dtype=x.dtype)
    if missing != "impute":
        last = np.asarray(x.mean(axis=0, dtype=np.float64)).reshape(1, -1)
        last = (last * (missing == "mean")).astype(x.dtype)
    # In the last row, which has the index -1.
    whole: Any = sp.vstack([x, last], format="csr") if sp.issparse(x) else np.vstack([x, last])
    return whole[rows]

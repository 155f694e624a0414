"""Recognition of data frames and series; narwhals is imported only for what may be one."""

import os
from typing import Any

import numpy as np
import scipy.sparse as sp
from torch import Tensor

_OTHERS = (np.ndarray, Tensor, list, tuple, str, bytes, dict, range, os.PathLike)


def is_frame(value: object) -> bool:
    """Return whether a value is a data frame, of any library, eager or lazy."""
    if value is None or isinstance(value, _OTHERS) or sp.issparse(value):
        return False
    import narwhals as nw

    try:
        found: Any = nw.from_native(value, pass_through=True)
    except nw.exceptions.DuplicateError:
        return True
    return isinstance(found, nw.DataFrame | nw.LazyFrame) or hasattr(value, "__dataframe__")


def is_series(value: object) -> bool:
    """Return whether a value is a series, of any library."""
    if value is None or isinstance(value, _OTHERS):
        return False
    import narwhals as nw

    return isinstance(nw.from_native(value, series_only=True, pass_through=True), nw.Series)

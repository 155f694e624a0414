"""Tensors that an object keeps: small ones for good, large ones as long as they are in use."""

import weakref
from collections.abc import Callable
from typing import Any, overload

from torch import Tensor

LARGE = 2**24  # numbers in a tensor that is not kept for good


class kept_while_used:
    """Property whose tensor is computed once; a large one again when nothing refers to it.

    The two directions of a hundred million links take 3.2 GB, which a training needs for seconds.

    Args:
        make: Method that computes the tensor.
    """

    def __init__(self, make: Callable[[Any], Tensor]) -> None:
        self.make, self.name, self.__doc__ = make, make.__name__, make.__doc__
        self.large: weakref.WeakKeyDictionary[Any, weakref.ref[Tensor]] = (
            weakref.WeakKeyDictionary()
        )

    @overload
    def __get__(self, owner: None, kind: type) -> "kept_while_used": ...
    @overload
    def __get__(self, owner: object, kind: type | None = None) -> Tensor: ...
    def __get__(self, owner: Any, kind: type | None = None) -> "Tensor | kept_while_used":
        """Return the tensor; a small one is an attribute from then on."""
        if owner is None:
            return self
        if owner in self.large and (found := self.large[owner]()) is not None:
            return found
        found = self.make(owner)
        if found.numel() < LARGE:
            vars(owner)[self.name] = found
        else:
            self.large[owner] = weakref.ref(found)
        return found

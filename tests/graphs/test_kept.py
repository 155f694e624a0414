"""Tensors that are kept for good, or as long as they are in use."""

import gc

import pytest
import torch
from torch import Tensor

from vgae.graphs import kept
from vgae.graphs.kept import kept_while_used


class Owner:
    """Object with one tensor, which counts how often it is computed."""

    def __init__(self) -> None:
        self.count = 0

    @kept_while_used
    def numbers(self) -> Tensor:
        """Return some numbers."""
        self.count += 1
        return torch.arange(5)


def test_a_small_tensor_is_computed_once() -> None:
    owner = Owner()
    assert owner.numbers is owner.numbers
    assert owner.count == 1
    assert Owner.numbers.__doc__ == "Return some numbers."


def test_a_large_tensor_is_shared_while_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LARGE", 5)
    owner = Owner()
    first = owner.numbers
    assert owner.numbers is first
    del first
    gc.collect()
    assert torch.equal(owner.numbers, torch.arange(5))
    assert owner.count == 2

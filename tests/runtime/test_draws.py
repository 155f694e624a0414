"""Random numbers of some entries, which are those of the whole tensor."""

import pytest
import torch

from vgae.runtime import draws
from vgae.runtime.draws import bernoulli, normal, part_of_draw


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fill", [normal, bernoulli(0.3)])
@pytest.mark.parametrize("total", [0, 1, 15, 17, 63, 64, 65, 79, 80, 81, 1000])
@pytest.mark.parametrize("at_once", [64, 2**18])
def test_parts_are_those_of_the_whole(monkeypatch, dtype, fill, total, at_once):
    monkeypatch.setattr(draws, "_AT_ONCE", at_once)
    generator = torch.Generator().manual_seed(5)
    whole = torch.empty(total, dtype=dtype)
    fill(whole, generator)
    for part in (range(0), range(total), range(total // 3, total // 2), range(total // 2, total)):
        again = torch.Generator().manual_seed(5)
        found = part_of_draw(total, part, whole, fill, again)
        assert found.equal(whole[part.start : part.stop])
        assert again.get_state().equal(generator.get_state())


def test_draws_that_depend_on_the_size_are_made_at_once(monkeypatch):
    monkeypatch.setattr(draws, "_AT_ONCE", 64)
    sizes = []

    def by_size(tensor, _):
        sizes.append(len(tensor))
        tensor.copy_(torch.arange(len(tensor)) / len(tensor))

    found = part_of_draw(200, range(50, 60), torch.empty(0), by_size, None)
    assert found.equal(torch.arange(50, 60) / 200)
    assert sizes[-1] == 200

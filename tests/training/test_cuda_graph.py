from dataclasses import replace

import pytest
import torch

from vgae import fit, split_links
from vgae.errors import UsageError
from vgae.recipes import PAPER
from vgae.runtime.devices import Compute
from vgae.training.cuda_graph import Replayed


def test_without_a_gpu_it_is_refused(sbm):
    with pytest.raises(UsageError, match="cuda_graph needs a GPU, and this runs on cpu"):
        fit(sbm, split_links(sbm), device=Compute("cpu", cuda_graph=True))


@pytest.mark.gpu
def test_replays_draw_new_numbers_and_keep_old_results():
    generator = torch.Generator("cuda").manual_seed(0)
    total = torch.zeros((), device="cuda")
    step = Replayed(
        lambda: (total.add_(torch.randn((), device="cuda", generator=generator)).clone(),),
        [generator],
        torch.device("cuda"),
    )
    found = torch.stack([step()[0] for _ in range(8)])
    again = torch.Generator("cuda").manual_seed(0)
    draws = [torch.randn((), device="cuda", generator=again) for _ in range(8)]
    torch.testing.assert_close(found, torch.stack(draws).cumsum(0))


@pytest.mark.gpu
@pytest.mark.parametrize("pairs", ["exact", "sampled"])
def test_training_by_replays_is_training_by_steps(sbm, pairs):
    recipe = replace(PAPER, epochs=12, pairs=pairs)
    split = split_links(sbm)
    plain, replayed = (
        fit(sbm, split, recipe=recipe, device=Compute("cuda", cuda_graph=graph))
        for graph in (False, True)
    )
    for left, right in zip(plain.history, replayed.history, strict=True):
        assert left.loss == pytest.approx(right.loss, rel=1e-3)

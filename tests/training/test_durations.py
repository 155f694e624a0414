from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae import split_links
from vgae.graphs.graph import Graph
from vgae.kernels import Cost
from vgae.models.graphs import widths
from vgae.recipes import PAPER
from vgae.training.durations import Duration, epoch_duration, seconds_text
from vgae.training.links import prepare

CPU = torch.device("cpu")
LOSS = Cost(10**6, 0.25, 0)


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def duration(num_nodes, num_links, recipe=PAPER, x=None, device=CPU, **options):
    graph = Graph.from_edges(np.array([[0], [1]]), num_nodes=num_nodes, x=x)
    given = graph, num_links, widths("vgae", recipe), recipe, device, LOSS
    return epoch_duration(*given, **options)


def test_the_whole_is_the_sum_of_its_parts():
    found = Duration(1.0, 2.0, 3.0, 4.0, 5.0)
    assert found.epoch == 15.0
    assert duration(3000, 9000).pairs == LOSS.seconds


@pytest.mark.usefixtures("one_thread")
def test_large_graphs_take_time_in_proportion_to_their_size_and_less_with_threads():
    small, large = duration(10**6, 10**7), duration(10**7, 10**8)
    assert large.links == pytest.approx(10 * small.links)
    assert large.encoder == pytest.approx(10 * small.encoder, rel=0.01)
    torch.set_num_threads(2)
    assert duration(10**6, 10**7).links == small.links / 2


def test_each_part_depends_on_its_setting():
    base = duration(50_000, 500_000)
    wide = duration(50_000, 500_000, replace(PAPER, latent_channels=64))
    assert wide.links > 2 * base.links
    # Without features, nearly all weights are those of the first layer.
    assert wide.weights == pytest.approx(base.weights, rel=0.01)
    averaged = duration(50_000, 500_000, replace(PAPER, average=True))
    assert averaged.weights > base.weights
    seldom = duration(50_000, 500_000, replace(PAPER, eval_every=50))
    assert seldom.validation == pytest.approx(base.validation / 10)
    masked = duration(50_000, 500_000, replace(PAPER, mask=0.5))
    assert masked.encoder > base.encoder
    assert duration(50_000, 500_000, device=torch.device("cuda")).encoder < base.encoder / 10


def test_features_that_are_averaged_once_need_no_product_with_the_links():
    x = np.ones((20_000, 4), np.float32)
    once = duration(20_000, 10**6, x=x)
    each = duration(20_000, 10**6, replace(PAPER, feature_dropout=0.5), x=x)
    assert each.encoder > 1.5 * once.encoder


def test_processes_divide_all_but_the_weights():
    one, two = duration(10**6, 10**7), duration(10**6, 10**7, parts=2)
    assert two.links == one.links / 2
    assert two.pairs == one.pairs / 2
    assert two.weights == one.weights


def test_a_plan_has_the_time_of_all_epochs(sbm):
    plan = prepare(sbm, split_links(sbm), recipe=replace(PAPER, epochs=3000)).plan
    assert plan.epochs == 3000
    assert f"3,000 epochs {seconds_text(3000 * plan.duration.epoch)};" in str(plan)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2e-4, "under 1 ms"),
        (0.012, "about 12 ms"),
        (3.44, "about 3.4 s"),
        (1500, "about 25 minutes"),
        (20_000, "about 5.6 hours"),
    ],
)
def test_durations_are_read_without_calculation(seconds, text):
    assert seconds_text(seconds) == text

"""Tests of trainings on collections of graphs: batches, whole graphs, leaks, checkpoints."""

import pytest
import torch
from torch import nn

from vgae import VAE, fit
from vgae.decoders import InnerProductDecoder
from vgae.errors import Interrupted, VgaeError
from vgae.evaluation.links import evaluate_links
from vgae.gaussian import DiagGaussian
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.split import split_links
from vgae.recipes import BEST, PAPER
from vgae.training.links import prepare

SHORT = PAPER.override({"epochs": 4, "latent_channels": 12, "hidden_channels": 8})


def chain(n: int) -> Graph:
    return Graph.from_edges([[*range(n - 1)], [*range(1, n)]], num_nodes=n)


def chains(count: int = 12, *, features: bool = True) -> GraphCollection:
    graphs = GraphCollection.from_graphs([chain(4 + k % 5) for k in range(count)])
    if not features:
        return graphs
    degree = torch.bincount(graphs.links.flatten(), minlength=graphs.num_nodes)
    x = nn.functional.one_hot(degree, 3).float()
    parts = [
        Graph.from_edges(part.links, num_nodes=part.num_nodes, x=own)
        for part, own in zip(graphs, x.split(graphs.sizes.tolist()), strict=True)
    ]
    return GraphCollection.from_graphs(parts)


def weights(result) -> list[torch.Tensor]:
    return [*result.model.state_dict().values()]


def same(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


@pytest.mark.parametrize("mask", [0.0, 0.3])
def test_the_batches_of_an_epoch_have_each_graph_once_in_a_new_order(mask):
    graphs = chains(11)
    split = split_links(graphs, val=0.1, test=0.1)
    recipe = SHORT.override({"batch_size": 4, "mask": mask})
    problem = prepare(graphs, split, recipe=recipe).problem
    orders = []
    for _ in range(2):
        steps = problem.steps(problem.inputs, problem.target)
        sizes = []
        for (placed, pattern, *_), target in steps:
            links = target.links if mask else target
            assert len(placed.x) == links.pattern.num_nodes == len(placed.rows)
            edges = pattern.num_edges if mask else links.num_edges
            assert edges == links.num_edges
            sizes.append((len(placed.x), links.num_edges))
        assert len(steps) == 3
        assert sum(size for size, _ in sizes) == graphs.num_nodes
        assert sum(edges for _, edges in sizes) == 2 * split.train.shape[1]
        orders.append(sizes)
    assert orders[0] != orders[1]


def test_graphs_without_links_do_not_make_a_batch_of_their_own():
    alone = Graph.from_edges([[], []], num_nodes=3)
    graphs = GraphCollection.from_graphs([chain(5), alone, alone, chain(6), alone])
    split = split_links(graphs, val=0.0, test=0.0)
    recipe = SHORT.override({"batch_size": 1})
    problem = prepare(graphs, split, recipe=recipe).problem
    for _ in range(10):
        steps = problem.steps(problem.inputs, problem.target)
        assert len(steps) == 2
        links = [target.links if hasattr(target, "masked") else target for _, target in steps]
        assert sum(target.pattern.num_nodes for target in links) == graphs.num_nodes
        assert all(target.num_edges for target in links)


def test_a_batch_of_all_graphs_is_the_step_without_batches():
    graphs = chains()
    split = split_links(graphs)
    recipe = SHORT.override({"mask": 0.0})
    problem = prepare(graphs, split, recipe=recipe.override({"batch_size": 99})).problem
    ((inputs, target),) = problem.steps(problem.inputs, problem.target)
    assert inputs[0].x.sum() == problem.inputs[0].x.sum()
    assert target.num_pairs == problem.target.num_pairs == problem.num_items
    assert target.num_edges == problem.target.num_edges


@pytest.mark.parametrize("by", ["links", "graphs"])
def test_an_interrupted_training_in_batches_ends_with_the_same_weights(by, tmp_path, monkeypatch):
    monkeypatch.setattr("vgae.training.checkpoint.SECONDS", 0)
    graphs = chains()
    split = split_links(graphs, by=by, val=0.2, test=0.1)
    recipe = SHORT.override({"batch_size": 3, "mask": 0.2})
    whole = fit(graphs, split, recipe=recipe, progress=False)

    def kill(row):
        if row.epoch == 2:
            raise KeyboardInterrupt

    options = {"recipe": recipe, "progress": False, "checkpoints": tmp_path / "ck"}
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        fit(graphs, split, on_row=kill, **options)
    again = fit(graphs, split, **options)
    assert len(again.history) == 4
    assert same(again, whole)


@pytest.mark.parametrize("base", [PAPER, BEST])
@pytest.mark.parametrize("features", [True, False])
def test_a_training_by_whole_graphs_does_not_see_the_held_out_graphs(base, features):
    graphs = chains(features=features)
    split = split_links(graphs, by="graphs", val=0.0, test=0.3)
    recipe = base.override({"epochs": 3, "latent_channels": 12, "hidden_channels": 8})
    held = graphs.select(split.graph_part == 2)
    # Other held-out graphs: without links and, where there are features, with other ones.
    others = [
        Graph.from_edges(
            part.links[:, :1], num_nodes=part.num_nodes, x=None if part.x is None else part.x + 9
        )
        for part in held
    ]
    parts = [*graphs]
    for number, other in zip(
        (split.graph_part == 2).nonzero()[:, 0].tolist(), others, strict=True
    ):
        parts[number] = other
    changed = GraphCollection.from_graphs(parts)
    own = split_links(changed, by=split.graph_part.tolist())
    options = {"recipe": recipe, "progress": False}
    assert same(fit(graphs, split, **options), fit(changed, own, **options))


class SeesMessages(nn.Module):
    """Encodes a node as its row of the adjacency it was given, and remembers the graphs."""

    def __init__(self, num_nodes: int):
        super().__init__()
        self.bias, self.most = nn.Parameter(torch.zeros(1)), 0
        self.width = num_nodes

    def forward(self, x, edge_index, edge_weight=None):
        rows = torch.zeros(len(x), self.width)
        rows[edge_index[0], edge_index[1]] = 1
        if self.training:
            self.most = max(self.most, len(x))
        return DiagGaussian(rows + 0 * self.bias, torch.zeros_like(rows) - 20)


class IsLinked(InnerProductDecoder):
    def logits(self, z, edge_label_index):
        return z[edge_label_index[0], edge_label_index[1]]


@pytest.mark.parametrize("batch_size", [0, 3])
def test_a_canary_sees_no_hidden_link_and_no_held_out_graph(batch_size):
    graphs = chains()
    split = split_links(graphs, by="graphs", val=0.2, test=0.2)
    canary = VAE(SeesMessages(graphs.num_nodes), IsLinked())
    recipe = SHORT.override({"batch_size": batch_size})
    fit(graphs, split, model=canary, recipe=recipe, progress=False)
    assert canary.encoder.most <= int(graphs.sizes[split.graph_part == 0].sum())
    found = evaluate_links(canary, graphs, split)
    assert [found[part].auc for part in ("val", "test")] == [0.5, 0.5]


@pytest.mark.row("G60")
def test_degrees_of_a_graph_without_features_need_no_identity_of_nodes():
    graphs = chains(features=False)
    result = fit(graphs, split_links(graphs), recipe=SHORT, progress=False)
    assert result.model.encoder.in_channels == 0
    plain = SHORT.override({"degrees": False, "positions": 0})
    with pytest.raises(VgaeError) as caught:
        fit(graphs, split_links(graphs), recipe=plain, progress=False)
    assert caught.value.code == "NO_FEATURES"


def test_a_model_without_degrees_is_refused_before_it_is_built_for_no_features():
    graphs = chains(features=False)
    with pytest.raises(VgaeError, match="the same to sage; set degrees = true") as caught:
        fit(graphs, split_links(graphs), model="sage", recipe=SHORT, progress=False)
    assert caught.value.code == "NO_FEATURES"


@pytest.mark.row("G59")
def test_batches_are_for_collections():
    graph = chain(40)
    with pytest.raises(VgaeError) as caught:
        fit(graph, split_links(graph), recipe=PAPER.override({"batch_size": 4}), progress=False)
    assert caught.value.code == "BATCH_SIZE"


def test_batches_learn_what_all_graphs_at_once_teach():
    graphs = chains(60)
    split = split_links(graphs, by="graphs", val=0.3, test=0.0)
    rows = fit(
        graphs, split, recipe=PAPER.override({"epochs": 25, "batch_size": 10}), progress=False
    ).history
    assert rows[-1].loss < rows[0].loss
    # The loss is the mean over the pairs of an epoch, whatever the size of a batch.
    still = PAPER.override({"epochs": 1, "lr": 0.0})
    one, many = (
        fit(graphs, split, recipe=still.override({"batch_size": size}), progress=False).history[0]
        for size in (0, 10)
    )
    assert many.loss == pytest.approx(one.loss, rel=0.1)
    assert many.kl == pytest.approx(one.kl, rel=0.05)

import pytest
import torch
from torch import nn

from vgae.decoders import InnerProductDecoder
from vgae.errors import LeakageError
from vgae.evaluation import evaluate
from vgae.gaussian import DiagGaussian
from vgae.links import split_links
from vgae.metrics import link_scores
from vgae.vae import VAE


class SeesMessages(nn.Module):
    """Encodes each node as its row of the adjacency it was given: the leak canary."""

    def forward(self, x, edge_index):
        rows = torch.zeros(len(x), len(x))
        rows[edge_index[0], edge_index[1]] = 1
        return DiagGaussian(rows, torch.zeros_like(rows))


class IsLinked(nn.Module):
    """Scores a pair 1 if messages travel between the two, else 0."""

    def logits(self, z, edge_label_index):
        return z[edge_label_index[0], edge_label_index[1]]


def test_the_leak_canary_finds_nothing(sbm):
    """A model that merely remembers which links carry messages is no better than a coin."""
    for seed in range(5):
        split = split_links(sbm, seed=seed)
        scores = evaluate(VAE(SeesMessages(), IsLinked()), sbm, split)
        assert scores["val"].auc <= 0.51
        assert scores["test"].auc <= 0.51


def test_scores_are_those_of_the_means_over_training_messages(sbm):
    split = split_links(sbm)
    model = VAE(SeesMessages(), InnerProductDecoder())
    rows = torch.zeros(120, 120)
    rows[split.message_edge_index[0], split.message_edge_index[1]] = 1
    common = (rows @ rows)[tuple(split.test.edge_label_index)]  # common neighbours
    assert evaluate(model, sbm, split)["test"] == link_scores(common, split.test.edge_label)


def test_the_mode_of_the_model_changes_nothing_and_is_left_alone(sbm):
    split = split_links(sbm)

    class Noisy(InnerProductDecoder):
        def logits(self, z, edge_label_index):
            return nn.functional.dropout(super().logits(z, edge_label_index), 0.5, self.training)

    model = VAE(SeesMessages(), Noisy())
    scores = [evaluate(model.train(mode), sbm, split) for mode in (True, False)]
    assert scores[0] == scores[1]
    assert not model.training


def test_a_part_without_links_is_left_out(sbm):
    model = VAE(SeesMessages(), InnerProductDecoder())
    assert list(evaluate(model, sbm, split_links(sbm, val=0))) == ["test"]


def test_a_split_of_another_graph_is_refused(sbm, two_cliques):
    with pytest.raises(LeakageError, match="S12"):
        evaluate(VAE(SeesMessages(), InnerProductDecoder()), two_cliques, split_links(sbm))

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import vgae
from vgae.errors import DataError, UsageError
from vgae.graphs.missing import entries_of

LINKS = np.stack([np.arange(19), np.arange(1, 20)])


def graph_of(x, **options):
    return vgae.Graph.from_edges(LINKS, x=x, missing_features="impute", **options)


@pytest.fixture
def x(generator):
    x = torch.randint(0, 3, (20, 7), generator=generator).float()
    x[3, :2] = torch.nan
    return x


def forms(x):
    at = np.nonzero(x.numpy())
    return [x, sp.coo_array((x.numpy()[at], at), shape=tuple(x.shape))]


@pytest.mark.parametrize("form", [0, 1])
@pytest.mark.parametrize("by", ["entries", "nodes"])
def test_held_out_entries_are_missing_and_have_the_true_values(form, by, x):
    graph = graph_of(forms(x)[form])
    split = vgae.split_features(graph, val=0.1, test=0.3, seed=1, by=by)
    codes = [part.rows * 7 + part.columns for part in (split.val, split.test)]
    gaps = entries_of(split.graph.missing)
    known = entries_of(graph.missing)
    expected = torch.cat([known[0] * 7 + known[1], *codes]).sort().values
    assert torch.equal(gaps[0] * 7 + gaps[1], expected)
    assert len(expected.unique()) == len(expected)
    for part, code in zip((split.val, split.test), codes, strict=True):
        assert torch.equal(part.values, x[part.rows, part.columns])
        assert not part.values.isnan().any()
        assert (code.diff() > 0).all()
    if by == "entries":
        assert [len(code) for code in codes] == [13, 41]
    else:
        assert [len(part.rows.unique()) for part in (split.val, split.test)] == [2, 6]
        assert split.graph.missing.to_dense().all(dim=1).sum() == 8


def test_the_graph_without_them_does_not_depend_on_their_values(x):
    """Neither features, fill values nor fingerprint: nothing can leak."""
    split = vgae.split_features(graph_of(x), test=0.3)
    other = x.clone()
    other[split.test.rows, split.test.columns] = 1e6
    again = vgae.split_features(graph_of(other), test=0.3)
    assert torch.equal(again.test.rows, split.test.rows)
    assert again.graph.fingerprint == split.graph.fingerprint
    assert torch.equal(again.graph.x, split.graph.x)


def test_a_seed_gives_the_same_entries_and_another_seed_others(x):
    graph = graph_of(x)
    first, again, other = (vgae.split_features(graph, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(first.test.columns, again.test.columns)
    assert not torch.equal(first.test.columns, other.test.columns)
    assert len(first.val.rows) == 0


def test_nearly_all_entries_can_be_held_out(x):
    split = vgae.split_features(graph_of(x), test=0.98)
    assert len(split.test.rows) == 135


def test_bad_fractions_and_absent_features_are_refused(x):
    graph = graph_of(x)
    with pytest.raises(UsageError, match=r"val \+ test must be a fraction"):
        vgae.split_features(graph, val=0.5, test=0.6)
    with pytest.raises(DataError, match=r"0\.001 of 138 entries is less than one"):
        vgae.split_features(graph, test=0.001)
    with pytest.raises(DataError, match="no features to hold out"):
        vgae.split_features(graph.without_features())
    with pytest.raises(UsageError, match="by must be one of"):
        vgae.split_features(graph, by="columns")

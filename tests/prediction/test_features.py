from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import vgae
from vgae.decoders.joint import link_decoder
from vgae.errors import DataError, UsageError
from vgae.graphs.missing import entries_of, filled, marked_entries
from vgae.recipes import PAPER

N, F = 120, 12
RECIPE = replace(PAPER, reconstruct="features", epochs=150, latent_channels=4)
NEW = torch.arange(N - 20, N)


def planted(kind):
    """Return two communities whose features differ; the last 20 nodes are left for tests."""
    generator = torch.Generator().manual_seed(1)
    side = (torch.arange(N) % 2).float()
    p = torch.where(side[:, None] == side, 0.25, 0.01).triu(1)
    links = torch.bernoulli(p, generator=generator).nonzero().T
    level = (2 * side - 1)[:, None] * (torch.arange(F) % 2 * 2 - 1).float()
    x = 2 + level + 0.3 * torch.randn(N, F, generator=generator)
    if kind == "bernoulli":
        x = (torch.rand(N, F, generator=generator) < (0.5 + 0.4 * level)).float()
    return vgae.Graph.from_edges(links, x=x, sides="none", feature_names=list("abcdefghijkl"))


@pytest.fixture(scope="module", params=["bernoulli", "normal"])
def trained(request):
    """Return the whole graph, and a model that has not seen the last nodes."""
    whole = planted(request.param)
    old = ~torch.isin(whole.links, NEW).any(dim=0)
    names = whole.feature_names
    graph = vgae.Graph.from_edges(
        whole.links[:, old], x=whole.x[: N - 20], sides="none", feature_names=names
    )
    split = vgae.split_links(graph, seed=0)
    return whole, vgae.fit(graph, split, recipe=RECIPE, progress=False)


def link_only(whole):
    rows = NEW.repeat_interleave(F)
    gaps = marked_entries(rows, torch.arange(F).repeat(len(NEW)), (N, F))
    return replace(whole, x=filled(whole.x, gaps), missing=gaps)


def test_new_nodes_with_links_only_get_better_features_than_column_means(trained):
    whole, result = trained
    graph = link_only(whole)
    found = vgae.impute_features(result, graph, samples=20)
    truth = whole.x[found.rows, found.columns]
    means = graph.x[found.rows, found.columns]  # what the encoder gets
    ours, theirs = ((truth - guess).square().mean() for guess in (found.mean, means))
    assert ours < 0.85 * theirs
    assert found.rows.unique().equal(NEW)


def test_what_was_in_a_missing_entry_changes_nothing(trained):
    whole, result = trained
    graph = link_only(whole)
    x = graph.x.clone()
    x[NEW] = 1e4
    other = replace(graph, x=x)
    ours, theirs = (vgae.impute_features(result, g, samples=2).mean for g in (graph, other))
    assert torch.equal(ours, theirs)


def test_new_nodes_with_features_only_get_better_links_than_chance(trained):
    whole, result = trained
    old = ~torch.isin(whole.links, NEW).any(dim=0)
    graph = replace(whole, links=whole.links[:, old])
    pairs = torch.stack(torch.meshgrid(NEW, torch.arange(N - 20), indexing="ij")).flatten(1)
    order = link_decoder(result.model).logits(vgae.embed(result, graph).mu, pairs)
    same = pairs[0] % 2 == pairs[1] % 2
    above = (order[same][:, None] > order[~same]).float().mean()
    assert above > 0.9
    found = vgae.impute_features(result, graph, entries="all", samples=2)
    assert len(found) == N * F


def test_the_table_names_nodes_and_columns(trained, tmp_path):
    whole, result = trained
    graph = replace(link_only(whole), node_ids=tuple(f"n{k}" for k in range(N)))
    found = vgae.impute_features(result, graph, samples=2)
    found.save(tmp_path / "features.csv")
    table = pd.read_csv(tmp_path / "features.csv")
    assert [*table] == ["id", "feature", "mean", "std"]
    assert table.iloc[13][["id", "feature"]].tolist() == ["n101", "b"]
    assert np.allclose(table["mean"], found.mean)
    assert (table["std"] > 0).all()
    complete = found.complete(graph)
    gaps = entries_of(graph.missing)
    assert np.array_equal(complete[: N - 20], whole.x[: N - 20])
    assert np.array_equal(complete[gaps[0], gaps[1]], found.mean)


def test_graphs_without_missing_features_are_refused_with_the_remedy(trained):
    whole, result = trained
    with pytest.raises(DataError, match=r"no missing feature.*missing-features impute.*all"):
        vgae.impute_features(result, whole)
    with pytest.raises(DataError, match="has no features"):
        vgae.impute_features(result, whole.without_features())
    with pytest.raises(UsageError, match="entries must be one of"):
        vgae.impute_features(result, whole, entries="none")
    with pytest.raises(UsageError, match=r"features.csv|must end in"):
        vgae.impute_features(result, link_only(whole), samples=1).save("features.doc")

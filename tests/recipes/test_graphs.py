import tomllib
from dataclasses import asdict, replace

import pytest
import torch

from vgae.errors import UsageError
from vgae.graphs.graph import Graph
from vgae.recipes import (
    BEST,
    BEST_DENSE,
    BEST_DIRECTED,
    BEST_LINKS,
    BEST_LINKS_DENSE,
    BEST_TWO_SIDED,
    PAPER,
    RECIPES,
    Recipe,
    for_graph,
    recipe_named,
)


def test_paper_is_what_the_paper_and_its_code_say():
    assert (
        Recipe(
            name="paper",
            hidden_channels=32,
            latent_channels=16,
            lr=0.01,
            epochs=200,
            weighting="kipf",
            beta=1.0,
            bias=False,
            keep="last",
        )
        == PAPER
    )


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_prints_as_toml_and_comes_back(name):
    values = tomllib.loads(str(recipe_named(name)))
    assert values == asdict(recipe_named(name))


def test_fields_are_overridden_from_text_one_at_a_time():
    changed = PAPER.override({"epochs": "7", "lr": "1e-3", "bias": "True", "keep": "best"})
    assert (changed.epochs, changed.lr, changed.bias, changed.keep) == (7, 1e-3, True, "best")
    assert PAPER.epochs == 200


def test_the_declared_type_counts_and_not_that_of_the_present_value():
    assert Recipe(name='a "b"', lr=1).override({"lr": "0.5"}).lr == 0.5
    with pytest.raises(UsageError, match=r"hidden_channels must be an integer, got 2\.5"):
        Recipe(name="half", hidden_channels=2.5)


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("epochs", "many", "epochs must be int, got 'many'"),
        ("epochs", "-1", r"epochs must lie in \[0, 1000000000\], got -1"),
        ("latent_channels", "0", "latent_channels must lie in"),
        ("hidden_channels", "10000000000", "hidden_channels must lie in"),
        ("lr", "nan", "lr must be finite"),
        ("lr", "-0.1", "lr must lie in"),
        ("bias", "maybe", "bias must be true or false"),
        ("weighting", "none", "weighting must be one of"),
        ("keep", "first", "keep must be one of"),
        ("mask", "1", r"mask must lie in \[0, 0.99\], got 1.0"),
        ("self_loop_weight", "0", "self_loop_weight must lie in"),
        ("initial_logstd", "1", "initial_logstd must lie in"),
        ("initial_logstd", "-1", "initial_logstd needs a bias; set bias"),
        ("repel", "17", "repel must be at most latent_channels = 16, got 17"),
        ("repel", "-1", "repel must lie in"),
        ("activation", "gelu", "activation must be one of"),
        ("drop", "0.5", "'drop' is no field of a recipe; they are name, optimizer, lr"),
    ],
)
def test_settings_that_make_no_sense_are_named(field, text, message):
    with pytest.raises(UsageError, match=message) as error:
        PAPER.override({field: text})
    assert error.value.exit_code == 2


def test_an_unknown_recipe_is_named():
    with pytest.raises(UsageError, match="no recipe 'papr'; there are paper, best,"):
        recipe_named("papr")


def graph_with(x):
    return Graph.from_edges(torch.tensor([[0, 1], [1, 2]]), num_nodes=4, x=x)


def test_best_has_settings_of_its_own_for_some_graphs_and_says_so(caplog):
    caplog.set_level("INFO")
    words, measured = torch.eye(4, 6), torch.rand(4, 6) + 1
    assert for_graph(BEST, graph_with(words)) is BEST
    assert not caplog.text
    assert for_graph(BEST, graph_with(measured)) == BEST_DENSE
    assert "features that are 100% dense" in caplog.text
    assert for_graph(BEST, graph_with(None)) == BEST_LINKS
    sided = replace(graph_with(None), sides=torch.arange(graph_with(None).num_nodes) > 0)
    assert for_graph(BEST, sided) == BEST_TWO_SIDED
    assert for_graph(BEST, replace(graph_with(None), directed=True)) == BEST_DIRECTED
    assert for_graph(BEST, replace(sided, x=graph_with(words).x)) is BEST
    assert for_graph(BEST_LINKS, graph_with(words)) is BEST_LINKS
    assert for_graph(PAPER, graph_with(None)) is PAPER
    assert for_graph(PAPER, graph_with(words)) is PAPER


def test_paper_drops_sparse_features_that_are_a_target():
    words, measured = torch.eye(4, 6), torch.rand(4, 6) + 1
    targets = PAPER.override({"reconstruct": "weights, features"})
    found = for_graph(targets, graph_with(words))
    assert (found.name, found.feature_dropout) == ("paper-features", 0.5)
    assert found.reconstruct == targets.reconstruct
    assert for_graph(found, graph_with(words)) is found
    assert for_graph(targets, graph_with(measured)) is targets
    best = BEST.override({"reconstruct": "features"})
    assert for_graph(best, graph_with(measured)) is best
    own = for_graph(targets.override({"feature_dropout": 0.0}), graph_with(words))
    assert own.feature_dropout == 0


def test_links_alone_have_one_recipe_for_few_links_and_one_for_many(caplog):
    caplog.set_level("INFO")
    nodes = torch.arange(30)
    found = {}
    for reach in (4, 5):  # links with as many nodes on either side
        ends = [torch.stack([nodes, (nodes + k) % 30]) for k in range(1, reach + 1)]
        graph = Graph.from_edges(torch.cat(ends, dim=1), num_nodes=30, sides="none")
        found[reach] = for_graph(BEST, graph)
    assert found == {4: BEST_LINKS, 5: BEST_LINKS_DENSE}
    assert "no features and 10.0 links a node, so the settings are those of" in caplog.text


def test_parts_of_the_latent_vectors_give_way_to_a_smaller_width():
    for width in range(1, 40):
        found = for_graph(BEST.override({"latent_channels": width}), graph_with(None))
        assert found.walks + found.roles < width
        assert found.repel <= max(found.roles / 2, 0)
    kept = for_graph(BEST.override({"walks": 3}), graph_with(None))
    assert (kept.walks, kept.roles) == (3, BEST_LINKS.roles)


def test_what_was_changed_stays_changed():
    changed = for_graph(BEST.override({"epochs": "3", "dropout": "0.2"}), graph_with(None))
    assert (changed.epochs, changed.dropout, changed.mask) == (3, 0.2, BEST_LINKS.mask)


def test_what_was_set_stays_set_even_to_what_it_was():
    same = BEST.override({"mask": str(BEST.mask)}).override({"epochs": "3"})
    assert same.chosen == {"epochs", "mask"}
    resolved = for_graph(same, graph_with(None))
    assert (resolved.mask, resolved.latent_norm) == (BEST.mask, BEST_LINKS.latent_norm)
    with pytest.raises(UsageError, match="'chosen' is no field"):
        BEST.override({"chosen": "mask"})


def test_a_younger_field_is_in_the_identity_if_it_was_set():
    """Checkpoints of earlier versions have no such field and are continued."""
    assert "repel" not in PAPER.identity()
    assert PAPER.override({"repel": "4"}).identity() == {**PAPER.identity(), "repel": 4}

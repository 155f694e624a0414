"""Tests of typed graphs."""

import pickle

import numpy as np
import pytest
import torch

import vgae
from vgae.errors import DataError, UsageError

EDGES = {"knows": np.array([[0, 1], [1, 2]]), "buys": np.array([[0, 2, 1], [3, 4, 4]])}


def graph(**more):
    parts = {"node_type": np.array([0, 0, 0, 1, 1]), "node_type_names": ("user", "item")}
    edges = {name: (pairs, None) for name, pairs in EDGES.items()}
    return vgae.TypedGraph.of(edges, **parts, **more)


def test_a_graph_states_its_counts():
    found = graph(name="shop").summary()
    assert found["node_types"] == {"user": 3, "item": 2}
    assert found["relations"] == {"knows": 2, "buys": 3}
    assert found["num_links"] == 5
    assert repr(graph()) == (
        "TypedGraph('graph', 5 nodes of 2 types, 5 links of 2 relations, 0 features)"
    )


def test_the_fingerprint_follows_links_types_weights_and_features():
    base, x = graph(), np.eye(5, dtype=np.float32)
    others = [graph(x=x), base.only("knows"), base.only("buys", "knows")]
    weighted = {name: (pairs, np.full(pairs.shape[1], 2.0)) for name, pairs in EDGES.items()}
    types = {"node_type": base.node_type.numpy(), "node_type_names": base.node_type_names}
    others += [vgae.TypedGraph.of(weighted, **types)]
    assert len({g.fingerprint for g in (base, *others)}) == 5
    assert graph(name="other").fingerprint == base.fingerprint
    assert graph(x=x).without_features().fingerprint == base.fingerprint


def test_a_relation_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"no relation 'know'.*Did you mean knows\?"):
        graph().relation("know")
    with pytest.raises(UsageError, match="name the relations"):
        graph().only()
    with pytest.raises(DataError, match="no relations"):
        vgae.TypedGraph.of({}, node_type=np.zeros(2, int), node_type_names=("node",))


def test_all_links_as_one_graph_keep_no_relation():
    one = graph(x=np.eye(5, dtype=np.float32)).untyped()
    assert one.num_links == 5
    assert one.sides is None
    assert one.num_features == 5


def test_functions_for_one_relation_name_the_way(two_cliques):
    with pytest.raises(UsageError, match=r"graph\.relations\[name\]"):
        vgae.calibrate(None, graph(), None)
    with pytest.raises(UsageError, match="is for typed graphs"):
        vgae.predict_links(None, two_cliques, relation="knows")


def test_a_graph_survives_pickling():
    copy = pickle.loads(pickle.dumps(graph()))
    assert copy.fingerprint == graph().fingerprint
    assert torch.equal(copy.relations["buys"].links, graph().relations["buys"].links)

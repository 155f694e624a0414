"""Tests of the messages of typed graphs, and of their models in files."""

import json

import numpy as np
import pytest
import torch

import vgae
from vgae.errors import ArtifactError, DataError
from vgae.models.typed import message_kinds, messages

EDGES = {"knows": np.array([[0, 1], [1, 2]]), "buys": np.array([[0, 2, 1], [3, 4, 4]])}


def graph(edges=EDGES, weight=None, **more):
    parts = {"node_type": np.array([0, 0, 0, 1, 1]), "node_type_names": ("user", "item")}
    return vgae.TypedGraph.of({n: (e, weight) for n, e in edges.items()}, **parts, **more)


def test_relations_with_two_ends_send_two_kinds_of_messages():
    typed = graph()
    assert message_kinds(typed) == ("knows", "buys", "buys, reversed")
    knows, buys, back = messages(typed)
    assert knows.edge_index.tolist() == [[0, 1, 1, 2], [1, 2, 0, 1]]
    assert buys.edge_index.tolist() == [[0, 1, 2], [3, 4, 4]]
    assert torch.equal(back.edge_index, buys.edge_index.flip(0))
    assert knows.edge_weight is None
    directed = graph({"knows": EDGES["knows"]}, directed="keep")
    assert message_kinds(directed) == ("knows", "knows, reversed")


def test_weights_travel_with_their_links():
    typed = graph({"buys": EDGES["buys"]}, weight=np.array([1.0, 2.0, 3.0]))
    forward, back = messages(typed)
    assert forward.edge_weight.tolist() == back.edge_weight.tolist() == [1, 3, 2]


def test_messages_of_a_split_are_its_training_links():
    generator = np.random.default_rng(0)
    types = {"node_type": np.zeros(40, int), "node_type_names": ("node",)}
    typed = vgae.TypedGraph.of({"a": (generator.integers(40, size=(2, 100)), None)}, **types)
    split = vgae.split_links(typed, val=0.1, test=0.1)
    (train,), (more,) = messages(typed, split), messages(typed, split, val=True)
    part = split.parts["a"]
    assert train.edge_index.shape[1] == 2 * part.train.shape[1]
    assert more.edge_index.shape[1] == 2 * (part.train.shape[1] + part.val.pos.shape[1])


def model_of(typed):
    encoder = vgae.RGCNEncoder(typed.num_nodes, 4, 2, messages=message_kinds(typed), bases=2)
    return vgae.VAE(encoder, vgae.DistMultDecoder(2, [*typed.relations], bias=True))


def test_a_saved_model_gives_the_same_embedding(tmp_path):
    typed = graph()
    model = model_of(typed)
    vgae.save_pretrained(model, tmp_path / "model")
    again = vgae.from_pretrained(tmp_path / "model")
    assert torch.equal(vgae.embed(again, typed).mu, vgae.embed(model, typed).mu)
    assert again.encoder.model_name == "rgcn-vgae"
    assert again.decoder.relations == ("knows", "buys")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["decoder_options"]["relations"] = ["knows"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match=r"decoder\.(weight|bias) has shape"):
        vgae.from_pretrained(tmp_path / "model")


def test_a_graph_of_other_relations_is_refused():
    with pytest.raises(DataError, match="this model takes knows, buys, buys, reversed"):
        vgae.embed(model_of(graph()), graph().only("knows"))

import pytest

from vgae.data.named import load_dataset
from vgae.errors import DataError, UsageError


def test_the_embedded_graph_needs_nothing_but_the_package(monkeypatch, tmp_path):
    monkeypatch.setenv("VGAE_DATA", str(tmp_path))
    monkeypatch.setenv("VGAE_OFFLINE", "1")
    graph = load_dataset("stdlib")
    assert graph.name == "stdlib"
    assert "argparse" in graph.ids
    assert graph.label_names[graph.y[graph.ids.index("asyncio.events")]] == "asyncio"


def test_features_can_be_left_out():
    assert load_dataset("stdlib", features="none").x is None


def test_the_imports_of_a_module_are_its_links():
    graph = load_dataset("stdlib")
    u = graph.ids.index("textwrap")
    neighbours = {graph.ids[v] for v in graph.edge_index[1, graph.edge_index[0] == u]}
    assert "re" in neighbours  # textwrap.py begins with "import re"


@pytest.mark.parametrize("name", ["cora", "citeseer"])
def test_planetoid_sets_are_read_from_the_files_at_hand(name, data_home):
    graph = load_dataset(name)
    assert graph.name == name
    assert graph.x is not None


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(DataError, match="Did you mean citeseer"):
        load_dataset("citseer")


@pytest.mark.parametrize("name", ["digits", "MNIST"])
def test_a_data_set_of_images_is_sent_to_the_function_for_images(name):
    with pytest.raises(UsageError, match=f"{name.lower()} is a data set of images: use load_im"):
        load_dataset(name)

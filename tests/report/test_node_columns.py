from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from vgae import Graph
from vgae.errors import UsageError
from vgae.report.node_columns import (
    NodeClasses,
    NodeValues,
    column_names,
    label_classes,
    node_column,
    shown_ends,
)

EDGES = pd.DataFrame({"from": [0, 1, 2, 3, 4, 5, 6], "to": [1, 2, 3, 4, 5, 6, 7]})
NODES = pd.DataFrame(
    {
        "id": range(8),
        "age": [20, 30, None, 40, 50, 20, 25, 35],
        "city": ["9", "10", "9", None, "10", "9", "10", "9"],
        "joined": [f"2024-01-0{k}" for k in range(1, 9)],
        "member": ["yes", "no", "yes", "no", "yes", "no", "yes", None],
        "notes": [f"words {k}" for k in range(8)],
    }
)


@pytest.fixture(scope="module")
def people():
    kinds = {"notes": "hash", "city": "category"}
    return Graph.from_pandas(EDGES, NODES, encode=kinds)


def test_the_columns_are_those_of_the_table_not_of_the_features(people):
    assert column_names(people) == ["age", "city", "joined", "member", "degree"]
    assert "age" not in column_names(people.without_features())


def test_numbers_and_dates_are_those_of_the_cells_and_missing_ones_nan(people):
    age, joined = node_column(people, "age"), node_column(people, "joined")
    np.testing.assert_allclose(age.value, NODES["age"], rtol=1e-5)
    assert not age.is_date
    assert joined.is_date
    np.testing.assert_allclose(joined.value - joined.value[0], range(8), atol=1e-2)
    assert shown_ends(joined, (0, 1))[0] in ("2023-12-31", "2024-01-01")
    assert shown_ends(age, (0, 1)) == ["20", "50"]


def test_categories_are_in_the_order_of_their_values(people):
    city, member = node_column(people, "city"), node_column(people, "member")
    assert city.names == ["9", "10"]
    assert city.code.tolist() == [0, 1, 0, -1, 1, 0, 1, 0]
    assert (member.names, member.code.tolist()) == (["no", "yes"], [1, 0, 1, 0, 1, 0, 1, -1])


def test_a_few_unknown_labels_have_no_class():
    y, names = torch.tensor([2, -1, 0, 2]), ("low", "middle", "high")
    graph = Graph.from_edges([[0, 1, 2], [1, 2, 3]], y=y, label_names=names)
    assert label_classes(graph).names == ["low", "high"]
    assert label_classes(graph).code.tolist() == [1, -1, 0, 1]
    assert label_classes(replace(graph, label_names=())).names == ["class 0", "class 2"]
    assert isinstance(node_column(graph, "label"), NodeClasses)


@pytest.mark.parametrize("sparse", [False, True])
def test_features_are_columns_by_their_names(sparse):
    x = torch.tensor([[0.0, 1.5], [1.0, 2.5], [1.0, 0.0]])
    graph = Graph.from_edges(
        [[0, 1], [1, 2]], x=sp.csr_array(x) if sparse else x, feature_names=["word", "length"]
    )
    assert column_names(graph) == ["word", "length", "degree"]
    assert node_column(graph, "word").code.tolist() == [0, 1, 1]
    length = node_column(graph, "length")
    assert isinstance(length, NodeValues)
    assert length.value.tolist() == [1.5, 2.5, 0.0]
    assert node_column(graph, "degree").value.tolist() == [1, 2, 1]
    with pytest.raises(UsageError, match=r"no column 'lenght' .* Did you mean length\?"):
        node_column(graph, "lenght")


def test_missing_entries_of_features_are_nan():
    x = np.array([[3.0, 1.0], [np.nan, 1.0], [5.0, 0.0]])
    graph = Graph.from_edges(
        [[0, 1], [1, 2]], x=x, feature_names=["a", "b"], missing_features="impute"
    )
    np.testing.assert_array_equal(node_column(graph, "a").value, [3, np.nan, 5])

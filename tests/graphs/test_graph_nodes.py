"""Names of graphs and of their nodes in tables."""

import pytest

from vgae.errors import DataError
from vgae.graphs.graph_nodes import GraphNodes, ascending, graph_texts, warn_of_graphs


def test_equal_names_by_a_colon_are_refused():
    with pytest.raises(DataError, match="without a colon"):
        GraphNodes().named(["a", "a:b"], ["b:c", "c"])


def test_integers_ascend_by_value_and_texts_by_letters():
    assert list(ascending(["10", "9", "10"])) == ["9", "10"]
    assert list(ascending(["10", "9", "x"])) == ["10", "9", "x"]


def test_names_of_graphs_are_text():
    assert graph_texts([1, 2.0, "a ", True], "edges", "g") == ["1", "2", "a", "True"]


def test_a_column_that_may_be_of_graphs_is_announced(caplog):
    warn_of_graphs(["mol_id", "when"], "x.csv", "graph_column=%r")
    assert "graph_column='mol_id' reads many graphs" in caplog.text
    assert "when" not in caplog.text

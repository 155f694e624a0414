"""Edge lists with one more column."""

import pytest

from vgae.data.extra_column import read_with_column
from vgae.data.reading import Reading
from vgae.errors import DataError


def test_the_cells_of_a_column_are_beside_the_edges(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("source,kind,target,weight\nb,x,a,2\nc, y ,b,3\n")
    found, cells = read_with_column(path, Reading(), "kind", "RELATION")
    assert cells == ["x", "y"]
    assert found.names == ["a", "b", "c"]
    assert found.edges.tolist() == [[1, 2], [0, 1]]
    assert found.weight.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("text", "columns", "code"),
    [
        ("source,target\na,b\n", None, "GRAPH_COLUMN"),
        ("a b x\nb c x\n", None, "GRAPH_COLUMN"),
        ("a b x\nb c x\n", ("graph", "source"), "COLUMNS"),
    ],
)
def test_a_column_that_is_not_there_is_refused(text, columns, code, tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_with_column(path, Reading(columns=columns), "graph", "GRAPH_COLUMN")
    assert caught.value.code == code

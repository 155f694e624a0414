"""Features of each side, in files of their own, reach the nodes of that side."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vgae
from vgae.data.side_features import prefix_of, side_files
from vgae.errors import VgaeError

RATINGS = "user_id,item_id,rating\n1,1,5\n2,1,3\n2,7,4\n"
USERS = "user_id,age,rich\n2,40,1\n1,30,0\n"
ITEMS = "item_id,price\n7,2.5\n1,1.5\n"


@pytest.fixture
def folder(tmp_path):
    for name, text in {"r.csv": RATINGS, "users.csv": USERS, "items.csv": ITEMS}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def rows_of(graph):
    return dict(zip(graph.ids, graph.dense_x.tolist(), strict=True))


WANTED = {
    "user_id:1": [30, 0, 0],
    "user_id:2": [40, 1, 0],
    "item_id:1": [0, 0, 1.5],
    "item_id:7": [0, 0, 2.5],
}


def test_two_files_are_matched_by_name(folder):
    graph = vgae.read_graph(folder / "r.csv", features=f"{folder}/users.csv,items.csv")
    assert rows_of(graph) == WANTED
    assert graph.feature_names == ("user:age", "user:rich", "item:price")
    assert (graph.side_names, graph.num_links) == (("user", "item"), 3)
    pair = (folder / "users.csv", pd.read_csv(folder / "items.csv"))
    assert rows_of(vgae.read_graph(folder / "r.csv", features=pair)) == WANTED
    frame = pd.read_csv(folder / "r.csv")
    assert rows_of(vgae.read_graph(frame, features=pair)) == WANTED


def test_rows_without_links_are_nodes_of_their_side(folder):
    (folder / "items.csv").write_text(ITEMS + "9,3.5\n")
    features = f"{folder}/users.csv,items.csv"
    with pytest.raises(VgaeError, match="missing_features='zero'") as caught:
        vgae.read_graph(folder / "r.csv", features=features)
    assert caught.value.code == "NODE_SET_MISMATCH"
    graph = vgae.read_graph(folder / "r.csv", features=features, missing_features="zero")
    assert rows_of(graph) == WANTED | {"item_id:9": [0, 0, 3.5]}
    assert graph.sides[list(graph.ids).index("item_id:9")]


def test_a_side_without_a_file_has_a_column_per_node(folder):
    graph = vgae.read_graph(folder / "r.csv", features=f"{folder}/none,items.csv")
    assert graph.feature_names == ("user:1", "user:2", "item:price")
    assert rows_of(graph)["user_id:2"] == [0, 1, 0]


def test_labels_of_one_table_are_those_of_its_nodes(folder):
    (folder / "items.csv").write_text("item_id,price,genre\n7,2.5,pop\n1,1.5,folk\n")
    pair = (None, folder / "items.csv")
    graph = vgae.read_graph(folder / "r.csv", features=pair, label_column="genre")
    labels = dict(zip(graph.ids, graph.y.tolist(), strict=True))
    assert labels == {"user_id:1": -1, "user_id:2": -1, "item_id:1": 0, "item_id:7": 1}
    assert graph.label_names == ("folk", "pop")


def test_one_table_of_all_nodes_keeps_the_sides(folder):
    names = [*WANTED, "user_id:9"]
    pd.DataFrame({"id": names, "a": range(5)}).to_csv(folder / "all.csv", index=False)
    options = {"features": folder / "all.csv", "missing_features": "zero"}
    graph = vgae.read_graph(folder / "r.csv", **options)
    sides = dict(zip(graph.ids, graph.sides.tolist(), strict=True))
    assert sides == {name: name.startswith("item") for name in names}
    pd.DataFrame({"id": [*WANTED, "x"], "a": range(5)}).to_csv(folder / "all.csv", index=False)
    with pytest.raises(VgaeError, match="such as 'x', whose side is not known") as caught:
        vgae.read_graph(folder / "r.csv", **options)
    assert caught.value.code == "SIDES"


@pytest.mark.parametrize(
    ("features", "options", "code", "words"),
    [
        ("a,b,c.csv", {}, "FEATURES", "one for each side, got 3"),
        ("x/a.csv,y/b.csv", {}, "FEATURES", "two files of one folder"),
        ("users.csv,items.csv", {"sides": "none"}, "SIDES", "--sides columns"),
        ("users.csv,items.csv", {"encode": "auto"}, "ENCODE", "give numbers"),
        ("users.csv,gone.csv", {}, "CANNOT_READ", "gone.csv"),
    ],
)
def test_files_that_are_not_those_of_two_sides_are_refused(
    features, options, code, words, folder, monkeypatch
):
    monkeypatch.chdir(folder)
    with pytest.raises(VgaeError, match=words) as caught:
        vgae.read_graph("r.csv", features=features, **options)
    assert caught.value.code == code


def test_two_names_in_one_path_are_two_files_of_its_folder(tmp_path):
    assert side_files("d/u.csv,i.csv") == (Path("d/u.csv"), Path("d/i.csv"))
    assert side_files("d/u.csv,none") == (Path("d/u.csv"), None)
    assert side_files("u.csv") is None
    (tmp_path / "a,b.csv").write_text("")
    assert side_files(str(tmp_path / "a,b.csv")) is None
    assert prefix_of(["a:1", "a:2"]) == "a:"
    assert prefix_of(["a:1", "b"]) == ""
    assert prefix_of([1, 2]) == ""


def test_a_graph_with_features_of_two_sides_is_stored_and_read_again(folder):
    graph = vgae.read_graph(folder / "r.csv", features=f"{folder}/users.csv,items.csv")
    vgae.data.files.write_npz(graph, folder / "g.npz")
    again = vgae.read_graph(folder / "g.npz")
    assert (again.fingerprint, again.side_names) == (graph.fingerprint, graph.side_names)
    assert np.array_equal(again.sides, graph.sides)

"""Runs on tables of people: the encoder of their features, and the table with the embedding."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgae.data.files import read_graph
from vgae.data.reading import Reading
from vgae.errors import ArtifactError, DataError, UsageError
from vgae.models.embedding import embed
from vgae.recipes import PAPER
from vgae.runs.graphs import GraphSource, train_run
from vgae.runs.lifecycle import load_run, resume
from vgae.runs.nodes import node_columns
from vgae.runs.opening import open_graph, open_like

SHORT = replace(PAPER, epochs=2)
NAMES = [f"person {k:02}" for k in range(30)]
HEAD = "joined,name,age,city,member,notes,employee,balance,z_0"
ROWS = [
    [
        f"2020-{k % 12 + 1:02}-{k % 28 + 1:02}",
        name,
        "" if k % 7 == 0 else str(20 + k % 9),
        "Rom" if k == 5 else ("Bern", "Ulm", "Graz")[k % 3],
        "yes" if k % 2 else "no",
        f'"likes tea, and ""{k}"""',
        str(7000 + 13 * k),
        f"{-1.5 * k:.2f}",
        "007",
    ]
    for k, name in enumerate(NAMES)
]
ENCODE = {"notes": "hash", "employee": "drop"}


def write(path, rows=ROWS, head=HEAD):
    path.write_text("\n".join([head, *map(",".join, rows)]) + "\n")
    return path


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A run on the links of thirty people and the table of their attributes."""
    folder = tmp_path_factory.mktemp("people")
    write(folder / "people.csv", ROWS[::-1])
    links = [f"{NAMES[k]},{NAMES[(k + step) % 30]}" for k in range(30) for step in (1, 3)]
    (folder / "friends.csv").write_text("\n".join(["source,target", *links]))
    source = GraphSource(
        str(folder / "friends.csv"), str(folder / "people.csv"), Reading(encode=ENCODE)
    )
    return train_run(source, folder / "run", recipe=SHORT, progress=False)


def test_a_run_on_a_table_stores_its_encoder_and_reads_it_again_bit_for_bit(people):
    stored = json.loads((people.folder / "model" / "feature_encoder.json").read_text())
    assert [column["name"] for column in stored["columns"]] == HEAD.replace("name,", "").split(",")
    again = load_run(people.folder)
    assert again.feature_encoder == people.feature_encoder == people.graph.feature_encoder
    assert again.graph.fingerprint == people.graph.fingerprint
    assert again.graph.x.numpy().tobytes() == people.graph.x.numpy().tobytes()
    assert again.config["graph"]["reading"] == {"encode": ENCODE}


def test_an_interrupted_run_on_a_table_goes_on(people, tmp_path):
    copy = shutil.copytree(people.folder, tmp_path / "run")
    (copy / "metrics.json").unlink()
    shutil.rmtree(copy / "model")
    again = resume(copy, progress=False)
    assert again.feature_encoder == people.feature_encoder
    for name, value in people.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])


def test_an_encoder_of_another_run_is_noticed(people, tmp_path):
    copy = shutil.copytree(people.folder, tmp_path / "run")
    path = copy / "model" / "feature_encoder.json"
    path.write_text(path.read_text().replace("Bern", "Genf"))
    with pytest.raises(ArtifactError, match=r"feature_encoder\.json is not the file") as caught:
        load_run(copy)
    assert caught.value.code == "RUN_MIXED"
    path.unlink()
    with pytest.raises(ArtifactError, match=r"feature_encoder\.json is not the file"):
        load_run(copy)


def test_the_table_of_the_next_month_goes_through_the_encoder_of_the_run(people, tmp_path, caplog):
    order = [3, 1, 4, 5, 0, 2, 7, 8]  # without the employee, which was left out
    later = [[row[k] for k in order] for row in ROWS]
    later[3][order.index(3)] = "Genf"
    head = ",".join(HEAD.split(",")[k] for k in order)
    links, table = people.folder.parent / "friends.csv", tmp_path / "later.csv"
    write(table, later, head)
    graph = open_like(people.config, str(links), str(table), encoder=people.feature_encoder)
    assert graph.feature_names == people.graph.feature_names
    other = [node for node in range(30) if node != 3]
    assert torch.equal(graph.x[other], people.graph.x[other])
    assert "such as 'Genf': city=other" in caplog.text
    assert embed(people.model, graph).mu.shape == people.embedding.shape
    python = read_graph(links, features=table, encode=people.feature_encoder)
    assert python.fingerprint == graph.fingerprint
    again = GraphSource(str(links), str(table), Reading(encode=people.feature_encoder))
    run = train_run(again, tmp_path / "run", recipe=SHORT, progress=False)
    assert load_run(run.folder).graph.fingerprint == graph.fingerprint


def test_features_of_another_encoding_are_refused(people, tmp_path):
    from vgae.data.files import write_npz

    folder = people.folder.parent
    paths = str(folder / "friends.csv"), str(folder / "people.csv")
    how = {"encoder": people.feature_encoder}
    with pytest.raises(UsageError, match="its own encoder") as caught:
        open_like(people.config, *paths, Reading(encode="auto"), **how)
    assert caught.value.code == "ENCODE"
    write(tmp_path / "few.csv", [row[:4] for row in ROWS], "joined,name,age,city")
    with pytest.raises(DataError, match="lacks 'member', 'notes', 'balance'") as caught:
        open_like(people.config, paths[0], str(tmp_path / "few.csv"), **how)
    assert caught.value.code == "FEATURE_NAMES"
    other = read_graph(paths[0], features=paths[1], encode={**ENCODE, "age": "category"})
    write_npz(other, tmp_path / "other.npz")
    with pytest.raises(DataError, match="of another encoder") as caught:
        open_like(people.config, str(tmp_path / "other.npz"), **how)
    assert caught.value.code == "FEATURE_NAMES"
    with pytest.raises(UsageError, match="beside the data set stdlib"):
        open_graph("stdlib", "raw", Reading(encode="auto"))


def test_a_later_table_may_lack_the_labels(people, tmp_path):
    config = json.loads(json.dumps(people.config))
    config["graph"]["reading"] = {"label_column": "team", "encode": ENCODE}
    folder = people.folder.parent
    paths = str(folder / "friends.csv"), str(folder / "people.csv")
    assert open_like(config, *paths).y is None
    with pytest.raises(DataError, match="no such column"):
        open_like(config, *paths, Reading(label_column="other"))


def test_the_table_is_joined_with_the_embedding_by_name(people):
    columns = node_columns(people)
    assert [*columns][:9] == HEAD.split(",")
    assert [*columns][9:] == [f"vgae_z_{k}" for k in range(16)]
    assert list(columns["name"]) == NAMES
    assert columns["city"] == [row[3] for row in ROWS]
    assert columns["age"][:3] == ["", "21", "22"]
    assert columns["notes"][1] == 'likes tea, and "1"'
    # What begins with a sign would become a text for a spreadsheet.
    assert columns["balance"][1:3] == [-1.5, -3.0]
    assert columns["z_0"] == ["007"] * 30
    z = np.stack([columns[f"vgae_z_{k}"] for k in range(16)], axis=1)
    assert np.array_equal(z, people.embedding.numpy())


def test_without_a_table_the_names_are_joined_with_the_embedding(sbm_file, tmp_path):
    run = train_run(str(sbm_file), tmp_path / "run", recipe=SHORT, progress=False)
    columns = node_columns(run)
    assert [*columns] == ["id", *(f"z_{k}" for k in range(16))]
    assert list(columns["id"]) == list(run.graph.ids)


def test_nodes_without_a_row_have_no_attributes(tmp_path):
    pairs = "".join(f"{k},{(k + 1) % 12}\n{k},{(k + 5) % 12}\n" for k in range(12))
    (tmp_path / "g.csv").write_text(pairs)
    rows = "".join(f"{k},{k % 3},{k / 2}\n" for k in range(10))
    (tmp_path / "x.csv").write_text("id,a,b\n" + rows + "20,1,1\n")
    reading = Reading(missing_features="mean")
    source = GraphSource(str(tmp_path / "g.csv"), str(tmp_path / "x.csv"), reading)
    run = train_run(source, tmp_path / "run", recipe=SHORT, progress=False)
    columns = node_columns(run)
    assert list(columns["id"]) == [*range(12), 20]
    assert columns["b"][9:] == ["4.5", None, None, "1"]

"""Texts that are no tables are named, with commands that make tables of them."""

import re
import subprocess

import pandas as pd
import pytest

from vgae.data.edge_lists import read_edges
from vgae.errors import DataError


def pairs_of(path):
    found = read_edges(path)
    return [(found.names[u], found.names[v]) for u, v in found.edges.T.tolist()]


def refusal(path, content):
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_edges(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.row("L46")
@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12\n", "git lfs pull"),
        ("\n<!DOCTYPE html>\n<html><body>404</body></html>\n", "it is a web page"),
        ("<HTML>\n<p>a,b</p>\n", "it is a web page"),
        ("digraph g {\n a -> b;\n}\n", r"from_networkx\(networkx.nx_pydot.read_dot\('g.csv'\)\)"),
    ],
)
def test_other_files_are_named(content, what, tmp_path):
    error = refusal(tmp_path / "g.csv", content)
    assert error.code == ("FILE_FORMAT" if content.startswith("digraph") else "NOT_THE_FILE")
    assert re.search(what, str(error))


@pytest.mark.row("L46")
@pytest.mark.parametrize(
    ("content", "kind", "pairs"),
    [
        ("c x\np edge 4 3\ne 1 2\ne 2 3\ne 3 4\n", "DIMACS", [(1, 2), (2, 3), (3, 4)]),
        ("c x\np sp 3 2\na 1 2 5\na 2 3 7\n", "DIMACS", [(1, 2), (2, 3)]),
        ("nodedef>name VARCHAR\na\nedgedef>x,y\na,b\nb,c\n", "GDF", [("a", "b"), ("b", "c")]),
        ("dl n=3 format=edgelist1\nlabels:\na\nDATA:\n1 2\n2 3\n", "UCINET", [(1, 2), (2, 3)]),
        ("1 ann\n2 bob\n3 cy\n#\n1 2\n2 3\n", "TGF", [(1, 2), (2, 3)]),
        ("Friends of 3b\nsource,target\na,b\nb,c\n", "title", [("a", "b"), ("b", "c")]),
        ("Friends\n\nof 3b\na,b\nb,c\n", "first 2 are titles", [("a", "b"), ("b", "c")]),
        ("Friends of class 3b\n1 2\n2 3\n", "title", [(1, 2), (2, 3)]),
        ("source,target\na,b\nsource,target\nb,c\n", "repeats the", [("a", "b"), ("b", "c")]),
        ("# x\nu,v\na,b\nb,a\nu,v\n", "repeats the header", [("a", "b"), ("b", "a")]),
    ],
)
def test_a_command_keeps_the_links(content, kind, pairs, tmp_path):
    error = refusal(tmp_path / "my links.txt", content)
    assert error.code == "FIELDS"
    assert kind in str(error)
    command, name = re.search(r": ((?:grep|sed|tail|awk).* > (plain\.\w+)),", str(error)).groups()
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert pairs_of(tmp_path / name) == pairs


@pytest.mark.parametrize(
    "content",
    [
        '{"source": "a", "target": "b"}\n{"source": "b", "target": "c"}\n',
        '[{"source": "a", "target": "b"}, {"source": "b", "target": "c"}]',
        '[\n  {"source": "a", "target": "b"},\n  {"source": "b", "target": "c"}\n]\n',
    ],
)
def test_json_becomes_a_table_by_the_call_in_the_message(content, tmp_path, monkeypatch):
    error = refusal(tmp_path / "g.csv", content)
    lines = "lines=True" in str(error)
    assert "pandas.read_json('g.csv'" in str(error)
    pd.read_json(tmp_path / "g.csv", lines=lines).to_csv(tmp_path / "plain.csv", index=False)
    assert pairs_of(tmp_path / "plain.csv") == [("a", "b"), ("b", "c")]


@pytest.mark.parametrize("content", ["a b\n#\nb c\n", "c d\np q\n", "graph words\nwords x\n"])
def test_names_that_only_resemble_another_format_are_read(content, tmp_path):
    if "#" in content:
        content = content.replace("#", "#\n# more\n#")
    (tmp_path / "g.txt").write_text(content)
    assert len(pairs_of(tmp_path / "g.txt")) == 2

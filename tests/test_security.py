"""What the package's code must not contain, and hostile names through every writer."""

import ast
import csv
import json
from pathlib import Path

import numpy as np
import pytest

from vgae.data import torch_files
from vgae.data.files import read_graph, write_npz
from vgae.data.node_features import read_features
from vgae.errors import DataError, VgaeError, printable
from vgae.graphs.graph import Graph
from vgae.models.embedding import embed
from vgae.prediction.export import FORMATS, write_embeddings
from vgae.runtime.tables import plain_names, write_table

PACKAGE = Path(__file__).parents[1] / "vgae"
FILES = sorted(PACKAGE.rglob("*.py"))

_MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
_CALLS = {
    *("eval", "exec", "compile", "__import__", "torch.load", "torch.jit.load", "yaml.load"),
    *("os.system", "os.popen", "ssl._create_unverified_context", "pandas.read_pickle"),
}
_METHODS = {"extractall", "_create_unverified_context", "Unpickler", "read_pickle"}
_ARGUMENTS = {("allow_pickle", True), ("shell", True), ("verify", False), ("weights_only", False)}


def faults(code):
    """Return what a source must not contain, each with its line."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = _imported(node) & (_MODULES | _METHODS)
        elif isinstance(node, ast.Call):
            names = _called(node)
        elif isinstance(node, ast.Attribute):
            names = {node.attr} & {"_create_unverified_context"}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Docstrings, which cite papers, begin with something else.
            names = {node.value} if node.value.startswith("http://") else set()
        else:
            names = set()
        found += [(node.lineno, name) for name in names]
    return found


def _imported(node):
    names = {alias.name for alias in node.names}
    if isinstance(node, ast.Import):
        return {name.split(".")[0] for name in names}
    # To write a pickle is no harm.
    return set() if names == {"dumps"} else names | {(node.module or "").split(".")[0]}


def _called(node):
    name = ast.unparse(node.func)
    names = {name} if name in _CALLS or name.split(".")[-1] in _METHODS else set()
    for keyword in node.keywords:
        if isinstance(keyword.value, ast.Constant):
            names |= {keyword.arg} if (keyword.arg, keyword.value.value) in _ARGUMENTS else set()
    return names


# OGB's splits are files of torch.save. One module reads them, with weights_only=True, and has
# records of its own in place of numpy's names; tests/payloads and tests/fuzz try to break it.
READS_TORCH_FILES = PACKAGE / "data" / "torch_files.py"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_unpickled_evaluated_or_fetched_without_care(path):
    found = [name for _, name in faults(path.read_text())]
    assert found == (["torch.load"] if path == READS_TORCH_FILES else [])


def test_the_one_place_that_loads_files_of_torch_builds_tensors_and_records_alone():
    source = READS_TORCH_FILES.read_text()
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    (load,) = [node for node in calls if ast.unparse(node.func) == "torch.load"]
    assert {k.arg: ast.unparse(k.value) for k in load.keywords} == {
        "map_location": "'cpu'",
        "weights_only": "True",
    }
    named = [node for node in calls if ast.unparse(node.func).endswith(".safe_globals")]
    assert len(named) == 1
    for record, name in torch_files._OF_PYG:
        assert record.__module__ == "vgae.data.torch_files", name


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import load",
        "import dill as d",
        "from pickle import dumps, loads",
        "from numpy.lib.npyio import Unpickler",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "eval('1')",
        "exec(code)",
        "archive.extractall(folder)",
        "pandas.read_pickle(path)",
        "subprocess.run(text, shell=True)",
        "requests.get(url, verify=False)",
        "context = ssl._create_unverified_context",
        "fetch('http://example.org/cora')",
    ],
)
def test_the_gate_bites(code):
    assert faults(code)


@pytest.mark.parametrize(
    "code",
    [
        "np.load(path, allow_pickle=False)",
        "model.eval()",
        "re.compile('x')",
        "import pickletools",
        "from pickle import dumps",
        "fetch('https://example.org', verify=True)",
    ],
)
def test_the_gate_lets_harmless_code_pass(code):
    assert faults(code) == []


def test_the_catalogue_downloads_over_tls_alone():
    text = (PACKAGE.parent / "datasets" / "catalog.toml").read_text()
    assert "https://" in text
    assert "http://" not in text


# Names ------------------------------------------------------------------------------------------

NAMES = [
    "plain",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@x",
    "'=1",
    "''",
    "'t Hooft",
    "\t=1",
    "\r=1",
    "a\x1b[2Jb",
    "\u202egnp.exe",
    "two\nlines",
    "carriage\rreturn",
    "x" * 300,
    "../../x",
    "CON",
    r"$\frac$",
    "x^2$y_$",
    " padded ",
    "# comment",
    "% comment",
    'a,"b"',
    "\u2028",
    "\x7f",
]


@pytest.fixture(scope="module")
def hostile():
    """A ring of nodes with hostile names."""
    n = np.arange(len(NAMES))
    edges = np.hstack([[n, (n + 1) % len(n)], [n, (n + 5) % len(n)]])
    labels = [name for name in NAMES if name.startswith(("=", "<", "$"))]
    return Graph.from_edges(
        edges,
        x=np.eye(len(n), 8, dtype=np.float32),
        y=n % len(labels),
        label_names=labels,
        node_ids=NAMES,
        name="../../</title>\x1b[2J$\\frac$",
    )


@pytest.fixture(scope="module")
def hostile_run(hostile, tmp_path_factory):
    from vgae.recipes import PAPER
    from vgae.runs.graphs import train_run

    folder = tmp_path_factory.mktemp("hostile")
    write_npz(hostile, folder / "g.npz")
    settings = {"epochs": "2", "latent_channels": "3"}
    source, recipe = str(folder / "g.npz"), PAPER.override(settings)
    return train_run(source, folder / "run", recipe=recipe, progress=False)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_no_cell_is_a_formula_and_our_reader_gives_every_name_back(suffix, tmp_path):
    path = tmp_path / f"edges{suffix}"
    following = [*NAMES[1:], NAMES[0]]
    write_table(path, {"source": NAMES, "target": following, "weight": np.ones(len(NAMES))})
    with path.open(newline="") as file:
        cells = [
            c for row in csv.reader(file, delimiter="," if suffix == ".csv" else "\t") for c in row
        ]
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r\0")]
    graph = read_graph(path, header=True)
    assert graph.node_ids == tuple(sorted(NAMES))
    features = tmp_path / f"x{suffix}"
    write_table(features, {"id": NAMES, "z": np.ones(len(NAMES))})
    assert read_features(features).names == tuple(NAMES)


def test_an_apostrophe_is_taken_away_only_where_no_two_names_become_the_same():
    assert plain_names(["'=a", "''=a", "b", "'t"]) == ["=a", "'=a", "b", "'t"]
    assert plain_names(["'=a", "=a"]) == ["'=a", "=a"]
    assert plain_names(["'-1", "-1", "'+x"]) == ["'-1", "-1", "'+x"]


def test_a_name_with_nul_is_refused_by_the_reader_of_text(tmp_path):
    write_table(tmp_path / "e.csv", {"source": ["a\0b"], "target": ["c"]})
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "e.csv")
    assert caught.value.code == "ENCODING"


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_writer_takes_every_name_and_makes_one_file(suffix, hostile, hostile_run, tmp_path):
    pytest.importorskip("pyarrow")
    q = embed(hostile_run.model, hostile)
    path = tmp_path / f"out{suffix}"
    write_embeddings(path, hostile.ids, q)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    if suffix == ".json":
        assert [row["id"] for row in json.loads(path.read_text())] == NAMES
    elif suffix == ".jsonl":
        rows = path.read_text().split("\n")[:-1]
        assert [json.loads(row)["id"] for row in rows] == NAMES
    elif suffix == ".npz":
        assert np.load(path)["ids"].tolist() == NAMES


def test_commands_print_nothing_that_a_terminal_obeys_and_write_where_they_are_told(
    hostile_run, tmp_path, monkeypatch, command
):
    monkeypatch.chdir(tmp_path)
    graph = hostile_run.folder.with_name("g.npz")
    for arguments in (
        ("train", graph, "--epochs", 1, "-o", "trained"),
        ("convert", graph, "-o", "converted.npz"),
        ("predict", hostile_run.folder, "-o", "links.csv"),
        ("predict", hostile_run.folder, "--nodes", "nobody\x1b[2J", "-o", "none.csv"),
        ("embed", hostile_run.folder, graph),
        ("evaluate", hostile_run.folder, "--tasks", "links,classes,clusters"),
    ):
        _, out, err = command(*arguments)
        for line in (out + err).split("\n"):
            assert line.isprintable(), line
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"trained", "converted.npz", "links.csv", "g-embeddings.npz"}
    assert (tmp_path / "trained" / "figures" / "embedding.png").is_file()
    assert not list(tmp_path.parent.glob("x-*"))


def test_a_message_escapes_what_a_terminal_obeys():
    error = VgaeError("X", "name \x1b[2J \u202e \ud800 Zürich")
    assert str(error) == "name \\x1b[2J \\u202e \\ud800 Zürich"
    assert printable("a\nb") == "a\\nb"
    assert printable("a\nb", keep="\n") == "a\nb"

"""The script that builds the embedded graph, on a tree worked by hand, and its frozen result."""

import ast
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "datasets" / "stdlib"
SCRIPT = FOLDER / "build.py"
FROZEN = FOLDER / "stdlib.npz"

# Each line with an import says what it must give; `raise` shows that nothing is executed.
TREE = {
    "solo.py": "raise RuntimeError('was executed')",
    "user.py": """
        from pkg import run             # pkg - user: in pkg, run is gamma's function
        import pkg.sub.leaf as leaf     # pkg.sub.leaf - user
        import sys, os.path             # no source here
    """,
    "outside.py": "from . import solo   # no package to start from",
    "pkg/__init__.py": """
        from . import alpha             # pkg - pkg.alpha
        from .gamma import run          # pkg - pkg.gamma
    """,
    "pkg/alpha.py": """
        from .beta import helper        # pkg.alpha - pkg.beta
        import pkg.alpha                # itself
        def late():
            import solo                 # pkg.alpha - solo
    """,
    "pkg/beta.py": """
        from . import VERSION           # pkg - pkg.beta: the parent
        from pkg.alpha import late      # the same link as alpha's
    """,
    "pkg/gamma.py": "def run(): 'Starts.'",
    "pkg/run.py": "",
    "pkg/broken.py": "def (:",
    "pkg/sub/__init__.py": "",
    "pkg/sub/leaf.py": """
        from .. import alpha, broken    # pkg.alpha - pkg.sub.leaf; broken has no node: pkg
        from ...solo import late        # above the top
    """,
    "pkg/tests/__init__.py": "",
    "pkg/tests/test_alpha.py": "import pkg.alpha",
    "pkg/idle_test/__init__.py": "import pkg.alpha",
    "no_package/module.py": "import solo",
    "site-packages/numpy.py": "import solo",
    "_sysconfigdata_x.py": "import solo",
    "table.py": "'''Written by gencodec.py.'''\nimport solo",
}
NODES = [
    *("outside", "pkg", "pkg.alpha", "pkg.beta", "pkg.gamma", "pkg.run"),
    *("pkg.sub", "pkg.sub.leaf", "solo", "user"),
]
LINKS = {
    ("pkg", "pkg.alpha"),
    ("pkg", "pkg.beta"),
    ("pkg", "pkg.gamma"),
    ("pkg", "pkg.sub.leaf"),
    ("pkg", "user"),
    ("pkg.alpha", "pkg.beta"),
    ("pkg.alpha", "pkg.sub.leaf"),
    ("pkg.alpha", "solo"),
    ("pkg.sub.leaf", "user"),
}

WORDY = '''
"""Talks to HTTPServer2 quickly."""
import socket
from json import loads as read_json
import xml.dom.minidom

class FrameReader:
    """Uses a socket to read frames."""
    def next_frame(self, max_size, *, flag=None):
        data = socket.recv(max_size)
        self.lastFrame = read_json(data).strip_all(keep_ends=1)
        return xml.dom.minidom.parse(data)
'''


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("stdlib_build", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path):
    for name, text in TREE.items():
        path = tmp_path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(r"^ {8}", "", text, flags=re.MULTILINE))
    return tmp_path / "lib"


@pytest.fixture(scope="module")
def frozen():
    with np.load(FROZEN, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def run_script(folder, out, hash_seed="0"):
    return subprocess.run(
        [sys.executable, SCRIPT, "--stdlib", folder, "-o", out],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        check=False,
    )


def members(path):
    with zipfile.ZipFile(path) as archive:
        return [(info.filename, info.date_time, archive.read(info)) for info in archive.infolist()]


def test_a_hand_made_tree_gives_its_modules_and_links(build, tree):
    modules, _ = build.read_sources(tree)
    links = build.find_links(modules)
    assert list(modules) == NODES
    assert {(NODES[u], NODES[v]) for u, v in links} == LINKS
    assert links == sorted(set(links))
    assert all(u < v for u, v in links)


def test_a_file_that_does_not_parse_is_named_and_counted(tree, tmp_path):
    done = run_script(tree, tmp_path / "out.npz")
    assert done.returncode == 0
    assert "skipped pkg.broken: " in done.stderr
    summary = json.loads(done.stdout)
    assert summary["skipped"] == 1
    assert summary["nodes"] == len(NODES)
    assert summary["links"] == len(LINKS)
    # outside, pkg.run and pkg.sub stand alone, the other seven hang together.
    assert summary["isolated"] == 3
    assert summary["components"] == 4


def test_a_package_that_does_not_parse_leaves_its_modules(build, tree):
    (tree / "pkg" / "__init__.py").write_text("def (:")
    modules, unreadable = build.read_sources(tree)
    assert unreadable == ["pkg", "pkg.broken"]
    targets = set(build.imported_modules(modules["user"], modules)) - {""}
    assert targets == {"pkg.run", "pkg.sub.leaf"}


def test_building_twice_gives_the_same_bytes(tree, tmp_path):
    # Ten of 110 modules have these words, so they are kept.
    for i in range(100):
        (tree / f"extra{i}.py").write_text("ham, egg, spam, bacon, tomato" if i < 10 else "")
    outs = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for out, hash_seed in zip(outs, ("1", "2"), strict=True):
        assert run_script(tree, out, hash_seed).returncode == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    with np.load(outs[0]) as file:
        assert file["x_shape"].tolist() == [110, 5]


def test_a_folder_without_modules_is_refused(tmp_path):
    done = run_script(tmp_path, tmp_path / "out.npz")
    assert done.returncode == 2
    assert "--stdlib must be a folder of Python modules, got" in done.stderr


def test_words_are_those_of_own_names_and_docstrings(build):
    words = build.module_words(list(ast.walk(ast.parse(WORDY))))
    # Gone: to (short); socket, json, loads, read, xml, dom, minidom (in an import statement);
    # recv, parse (attributes of something imported).
    assert " ".join(sorted(words)) == (
        "all data ends flag frame frames http keep last max next quickly reader self server size "
        "strip talks uses"
    )


@pytest.mark.parametrize(
    ("statement", "use"),
    [
        ("import socket", "socket.listen()"),
        ("import socket as plug", "plug.listen()"),
        ("import socket.listen", "socket.listen.listen()"),
        ("from socket import listen", "listen()"),
        ("from socket import listen as plug", "plug()"),
        ("from .socket import listen", "listen.socket"),
        ("def own():\n    from socket import listen\n    return listen", "own()"),
    ],
)
def test_no_imported_name_becomes_a_word(build, statement, use):
    code = f'"""About a socket."""\n{statement}\nvalue = {use}\n'
    words = build.module_words(list(ast.walk(ast.parse(code))))
    assert words <= {"about", "value", "own"}


def test_rare_and_common_words_are_cut(build, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "MIN_MODULES", 2)
    monkeypatch.setattr(build, "MAX_SHARE", 0.5)
    for name, text in {"a": "ham, egg", "b": "ham, spam", "c": "ham, egg", "d": "1"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    modules, _ = build.read_sources(tmp_path)
    # Of four modules three have ham, two egg, one spam.
    assert build.bag_of_words(modules) == (["egg"], [[0], [], [0], []])


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("json.decoder", "email and internet data"),
        ("_pydecimal", "numeric and functional"),
        ("asyncio.base_events", "asyncio"),
        ("jsonish", "other"),
    ],
)
def test_a_module_has_the_field_of_its_nearest_listed_parent(build, name, field):
    assert build.field_of(name) == field


def test_no_module_is_listed_under_two_fields(build):
    entries = [entry for entries in build.FIELDS.values() for entry in entries.split()]
    assert len(entries) == len(set(entries))


def test_frozen_keys_and_dtypes(frozen):
    kinds = {key: array.dtype.kind for key, array in frozen.items()}
    assert {key for key, kind in kinds.items() if kind == "U"} == {
        *("format", "name", "feature_names", "label_names", "node_ids")
    }
    assert {key: str(array.dtype) for key, array in frozen.items() if array.dtype.kind != "U"} == {
        "num_nodes": "int64",
        "edges": "int32",
        "x_indptr": "int32",
        "x_indices": "int32",
        "x_data": "float32",
        "x_shape": "int64",
        "y": "int64",
    }
    assert frozen["format"].shape == frozen["name"].shape == frozen["num_nodes"].shape == ()
    assert frozen["format"] == "vgae-graph-1"
    assert frozen["name"] == "stdlib"


def test_frozen_links_are_canonical(frozen):
    u, v = frozen["edges"].astype(np.int64)
    num_nodes = int(frozen["num_nodes"])
    assert u.min() >= 0
    assert v.max() < num_nodes
    assert (u < v).all()
    assert (np.diff(u * num_nodes + v) > 0).all()
    assert np.unique(frozen["edges"]).size >= 500


def test_frozen_features_are_canonical_csr(frozen):
    indptr, indices = frozen["x_indptr"], frozen["x_indices"]
    rows, columns = frozen["x_shape"].tolist()
    assert rows == frozen["num_nodes"] == indptr.size - 1
    assert columns == frozen["feature_names"].size
    assert indptr[0] == 0
    assert indptr[-1] == indices.size == frozen["x_data"].size
    assert (np.diff(indptr) >= 0).all()
    cells = np.repeat(np.arange(rows), np.diff(indptr)) * columns + indices
    assert (np.diff(cells) > 0).all()
    assert indices.min() >= 0
    assert indices.max() < columns
    assert (frozen["x_data"] == 1).all()


def test_frozen_names_are_sorted_and_labels_are_all_used(build, frozen):
    for key in ("node_ids", "feature_names", "label_names"):
        assert frozen[key].tolist() == sorted(set(frozen[key].tolist()))
    assert frozen["node_ids"].size == frozen["y"].size == frozen["num_nodes"]
    names = frozen["label_names"][frozen["y"]].tolist()
    assert names == [build.field_of(node) for node in frozen["node_ids"].tolist()]
    assert np.bincount(frozen["y"], minlength=frozen["label_names"].size).min() >= 5
    assert "other" not in names


def test_data_card_tells_the_counts_of_the_frozen_file(build, frozen):
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w ]+) \| ([\d.]+) \|$", card, flags=re.MULTILINE)
    counts = build.summarise(frozen)
    assert counts.pop("other") == 0
    assert {name: float(value) for name, value in rows} == counts.pop("labels") | counts


@pytest.mark.skipif(
    platform.python_implementation() != "CPython" or sys.version_info[:3] != (3, 11, 7),
    reason="the frozen file was built from the sources of CPython 3.11.7",
)
@pytest.mark.slow
def test_frozen_file_is_what_the_script_builds(build, tmp_path):
    modules, unreadable = build.read_sources(Path(sysconfig.get_path("stdlib")))
    assert unreadable == []
    build.write_npz(tmp_path / "fresh.npz", build.pack(modules))
    # Member by member: how they are packed depends on zlib, what they hold does not.
    assert members(tmp_path / "fresh.npz") == members(FROZEN)

"""README and documentation: their code runs, their commands exist, their links lead somewhere."""

import ast
import json
import random
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import typer

import vgae
from vgae.cli.app import app, main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}


BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
PYTHON = {
    name: [b for kind, b in BLOCK.findall(t) if kind == "python"] for name, t in TEXTS.items()
}
SHELL = ("", "sh", "bash", "console")

# What stands for what on the pages: small graphs for large ones, a run for RUN.
STAND_INS = {
    r"\bcora\b": "stdlib",
    r"\bciteseer\b": "links.csv",
    r"\bmnist\b": "digits",
    r"10000000": "2000",
    r"^vgae train (digits|my-images.npy)": r"vgae train \1 --epochs 1",
    r"--samples \d+": "--samples 5",
    r"--seeds 10": "--seeds 2",
    r"--jobs \d": "--jobs 1",  # in this process, where trainings are short
    r"--epochs 100": "--epochs 2",
    r"--trials \d+": "--trials 2",
    r"^vgae tune stdlib (?!.*--trials)": "vgae tune stdlib --trials 2 ",
    r"\bCOLUMN\b": "kind",
    r"--relation NAME": "--relation likes",
    r"\bRUN1\b|runs/vgae\b": "runs/people",
    r"\bRUN2\b|runs/(other|gae)\b": "runs/stdlib-vgae-1",
}
# Files and data that have to be downloaded; processes of their own.
ELSEWHERE = re.compile(r"pyg:|ogb|heart|pubmed|^vgae push|-completion|hf:|track mlflow")


def commands(text):
    """Return the command lines of a page, without comments."""
    blocks = "\n".join(block for kind, block in BLOCK.findall(text) if kind in SHELL)
    lines = blocks.replace("\\\n", " ").splitlines()
    found = [line.removeprefix("$ ").split(" #")[0] for line in lines]
    return [line.strip() for line in found if line.startswith("vgae ")]


def draw_links(draw, left, right, number):
    """Return lines of distinct pairs, most of them within a group."""
    found = {}
    while len(found) < number:
        a, b = draw.randrange(len(left)), draw.randrange(len(right))
        alike = a % 4 == b % 4 or draw.random() < 0.1
        if left[a] != right[b] and alike and (right[b], left[a]) not in found:
            found[left[a], right[b]] = None
    return [f"{a},{b}" for a, b in found]


def write_files(folder):
    """Write the files that the pages name."""
    draw = random.Random(0)
    names = ["ann", "bob", "carol", "dave", *(f"Person {k:02}" for k in range(56))]
    items = [f"item{k}" for k in range(40)]

    def write(name, header, lines):
        (folder / name).write_text("\n".join([header, *lines, ""]), encoding="utf-8")

    pairs = draw_links(draw, names, names, 240)
    for name in ("friends.csv", "trades.csv", "follows.csv", "edges.csv"):
        write(name, "source,target", pairs)
    write("links.csv", "source,target,year", [f"{p},{draw.randint(1990, 2020)}" for p in pairs])
    signs = [f"{pair},{draw.choice([-2, -1, 1, 2, 3])}" for pair in pairs]
    write("trust.csv", "source,target,weight", signs)
    write("trade.csv", "source,target,weight", [pair.replace(",-", ",") for pair in signs])
    stars = [f"{pair},{draw.randint(1, 5)}" for pair in draw_links(draw, names, items, 300)]
    write("ratings.csv", "user_id,item_id,rating", stars)
    kinds = [f"{pair},{draw.choice(['likes', 'knows'])}" for pair in pairs]
    write("facts.csv", "source,target,kind", kinds)
    people = {
        "name": names,
        "age": [draw.choice([20, 31, 45]) for _ in names],
        "city": [draw.choice(["Bern", "Ulm", "Graz"]) for _ in names],
        "notes": [f"likes {draw.choice(['tea', 'chess'])}" for _ in names],
    }
    pd.DataFrame(people).to_csv(folder / "people.csv", index=False)
    nodes = pd.DataFrame({"id": names, "a": range(60), "b": [k % 4 for k in range(60)]})
    nodes.loc[::7, "a"] = np.nan
    nodes.to_csv(folder / "nodes.csv", index=False)
    shutil.copy(folder / "friends.csv", folder / "next.csv")
    shutil.copy(folder / "people.csv", folder / "next_people.csv")
    (folder / "links.tsv").write_text((folder / "edges.csv").read_text().replace(",", "\t"))
    (gat,) = [block for block in PYTHON["papers.md"] if "class GAT" in block]
    (folder / "gat.py").write_text(gat)
    links = {"connectivities": sp.csr_array(np.eye(60, k=1) + np.eye(60, k=-1))}
    names = pd.Index([f"cell{k}" for k in range(60)], dtype=object)
    obs = pd.DataFrame({"cell_type": pd.Series(["a", "b"] * 30, names, dtype=object)})
    var = pd.DataFrame(index=pd.Index([f"gene{k}" for k in range(5)], dtype=object))
    cells = anndata.AnnData(np.ones((60, 5)), obs=obs, var=var, obsp=links)
    cells.write_h5ad(folder / "cells.h5ad", convert_strings_to_categoricals=False)
    np.save(folder / "my-images.npy", np.random.default_rng(0).random((80, 1, 8, 8)))
    write_graphs(folder / "mutag")


def write_graphs(folder):
    """Write the files of TU Dortmund: rings and chains of six nodes."""
    folder.mkdir()
    edges = [(6 * g + k, 6 * g + (k + 1) % 6) for g in range(60) for k in range(6 - g % 2)]
    both = [f"{a + 1}, {b + 1}" for pair in edges for a, b in (pair, pair[::-1])]
    for name, lines in (
        ("A", both),
        ("graph_indicator", [k // 6 + 1 for k in range(360)]),
        ("graph_labels", [g % 2 for g in range(60)]),
        ("node_labels", [k % 3 for k in range(360)]),
    ):
        (folder / f"mutag_{name}.txt").write_text("\n".join(map(str, lines)) + "\n")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder with runs of the names that the pages have."""
    folder = tmp_path_factory.mktemp("runs")
    files = tmp_path_factory.mktemp("files")
    write_files(files)
    people = ("--features", files / "people.csv", "--encode", "auto", "--encode", "notes=hash")
    for name, *words in (
        ("people", files / "friends.csv", *people),
        ("stdlib-vgae-1", "stdlib"),
        ("mutag-vgae-1", files / "mutag"),
    ):
        words += ["--recipe", "paper", "--epochs", 2, "--quiet", "--out", folder / name]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("vgae.cli.train.draw_figures", lambda run: None)
            with pytest.raises(SystemExit, match="0"):
                main(["train", *map(str, words)])
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch, few_epochs, runs):
    """Enter a folder with the files that the pages name, and small data in the place of large."""
    write_files(tmp_path)
    shutil.copytree(runs, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    # The process is one of a group of one.
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "MASTER_PORT": 0}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setattr("vgae.cli.train.draw_figures", lambda run: None)
    load_dataset, load_images = vgae.load_dataset, vgae.load_images
    monkeypatch.setattr(vgae, "load_dataset", lambda name, **more: load_dataset("stdlib", **more))
    monkeypatch.setattr(vgae, "load_images", lambda name, **more: load_images("digits", **more))
    return tmp_path


@pytest.mark.parametrize("page", [name for name in TEXTS if PYTHON[name]])
def test_their_python_runs(page, folder):
    names = {}
    for number, block in enumerate(PYTHON[page]):
        if ELSEWHERE.search(block):
            continue
        exec(compile(block, f"{page}, block {number}", "exec"), names)


@pytest.mark.parametrize("page", [name for name, text in TEXTS.items() if commands(text)])
def test_their_commands_run(page, folder, command):
    run = "runs/people"
    for line in commands(TEXTS[page]):
        if ELSEWHERE.search(line):
            continue
        for place, stand_in in STAND_INS.items():
            line = re.sub(place, stand_in, line)
        words = shlex.split(re.sub(r"\bRUN\b", run, line))[1:]
        status, out, err = command(*words)
        assert status == 0, f"{line}\n{err}"
        if words[0] == "train":
            run = re.search(r"^Written to (\S+):", out + err, flags=re.MULTILINE)[1]


def test_commands_that_are_not_run_here_have_the_options_that_they_name():
    group = typer.main.get_command(app)
    shared = {flag for option in group.params for flag in option.opts}
    lines = [line for text in TEXTS.values() for line in commands(text) if ELSEWHERE.search(line)]
    assert lines
    for _, name, *words in map(shlex.split, lines):
        if name in shared:  # vgae --install-completion
            continue
        known = {flag for option in group.commands[name].params for flag in option.opts}
        assert {word for word in words if word.startswith("--")} <= known | shared, (name, words)


def test_their_python_type_checks(tmp_path):
    pytest.importorskip("pyright")
    blocks = [block for found in PYTHON.values() for block in found]
    assert len(blocks) >= 3
    for number, block in enumerate(blocks):
        (tmp_path / f"block_{number}.py").write_text(block, encoding="utf-8")
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "-p", tmp_path, "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_they_name_exist(page):
    for path in re.findall(r"\]\(((?!http|#)[^)#]+)[^)]*\)", TEXTS[page.name]):
        assert (page.parent / path).exists(), path


ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`(?:[^`<]*<)?~?([\w.]+)>?`")


def exists(name):
    """Return whether a dotted name is a module or something in one."""
    words = name.split(".")
    for length in range(len(words), 0, -1):
        try:
            found = import_module(".".join(words[:length]))
        except ModuleNotFoundError:
            continue
        for word in words[length:]:
            if word in getattr(found, "__annotations__", {}):
                return True
            if not hasattr(found, word):
                return False
            found = getattr(found, word)
        return True
    return False


@pytest.mark.parametrize("folder", sorted(p for p in (ROOT / "vgae").iterdir()), ids=str)
def test_cross_references_in_docstrings_name_what_exists(folder):
    wrong = []
    for path in [folder] if folder.suffix == ".py" else sorted(folder.rglob("*.py")):
        if path.name.startswith("_triton"):  # not importable without a GPU's compiler
            continue
        text = path.read_text(encoding="utf-8")
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        module = module.removesuffix(".__init__")
        classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
        for match in ROLE.finditer(text):
            line = text[: match.start()].count("\n") + 1
            around = [c.name for c in classes if c.lineno <= line <= (c.end_lineno or 0)]
            places = [module, *(f"{module}.{name}" for name in around)]
            names = [match[1], *(f"{place}.{match[1]}" for place in places)]
            if not any(map(exists, names)):
                wrong.append(f"{path.name}:{line}: {match[0]}")
    assert wrong == []


def test_the_reference_has_every_public_name():
    entries = set(re.findall(r"^   ([\w.]+)$", TEXTS["api.md"], flags=re.MULTILINE))
    assert set(vgae.__all__) - {"__version__"} <= entries
    assert all(exists(f"vgae.{entry}") for entry in entries)

"""The notebooks run, and what they store is what their code shows."""

import ast
import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SMALL = {
    "first_embedding": {"EPOCHS": 3},
    "five_methods": {"SPLITS": 2, "PAPER_EPOCHS": 2, "BEST_EPOCHS": 2},
    "mnist_plane": {"SOURCE": "digits", "EPOCHS": 2},
    "table_to_proposals": {"EPOCHS": 3, "PEOPLE": 200},
}
"""Values of the cell of parameters, with which a notebook takes a few seconds."""

MOST_BYTES = 100_000  # of a picture


def cells(path, kind="code"):
    content = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


def source(cell):
    """Return the Python of a cell, without the commands of IPython."""
    return re.sub(r"^%.*$", "", "".join(cell["source"]), flags=re.MULTILINE)


def tags(cell):
    return cell["metadata"].get("tags", [])


def each(paths=NOTEBOOKS):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


def test_there_are_four():
    assert [path.stem for path in NOTEBOOKS] == sorted(SMALL)


@each()
def test_it_runs_with_few_epochs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = {}
    for cell in cells(path):
        if "slow" in tags(cell):
            continue
        block, last = ast.parse(source(cell)), None
        if block.body and isinstance(block.body[-1], ast.Expr):
            last = ast.Expression(block.body.pop().value)
        exec(compile(block, path.name, "exec"), space)
        if last is not None:
            shown = eval(compile(last, path.name, "eval"), space)
            getattr(shown, "_repr_html_", shown.__repr__)()
        if "parameters" in tags(cell):
            assert set(SMALL[path.stem]) <= set(space)
            space |= SMALL[path.stem]


@each()
def test_it_is_stored_as_it_was_run_from_top_to_bottom(path):
    code = cells(path)
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    assert path.stat().st_size < 500_000
    for cell in code:
        block = ast.parse(source(cell)).body
        assert bool(cell["outputs"]) or not isinstance(block[-1], ast.Expr)
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", output
            picture = output.get("data", {}).get("image/png", "")
            assert len(picture) * 3 / 4 < MOST_BYTES


@each()
def test_it_explains_itself_and_names_no_place_of_one_machine(path):
    words = ["".join(cell["source"]) for cell in cells(path, "markdown")]
    assert words[0].startswith("# ")
    assert sum(text.startswith("## ") for text in words) >= 4
    assert "pip install" in words[0]
    assert not re.search(r"/(tmp|home|root|work|Users)/", path.read_text(encoding="utf-8"))
    for other in re.findall(r"\*(\w+_\w+)\*", "".join(words)):
        assert other in SMALL


@each()
@pytest.mark.slow
def test_its_stored_outputs_are_those_of_its_code(path, tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    options = {"kernel_name": "python3", "timeout": 600}
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, **options, resources=where).execute()
    for cell, stored in zip(
        [cell for cell in notebook.cells if cell.cell_type == "code"], cells(path), strict=True
    ):
        assert not any(output.get("name") == "stderr" for output in cell.outputs)
        if "exact" in tags(stored):
            (output,), (before,) = cell.outputs, stored["outputs"]
            for kind, text in before["data"].items():
                assert output.data[kind] == "".join(text)
        # Other machines round otherwise, and a short training has no bar.
        kinds = [
            [o["output_type"] for o in found if o["output_type"] != "display_data"]
            for found in (cell.outputs, stored["outputs"])
        ]
        assert kinds[0] == kinds[1]

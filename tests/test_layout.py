"""The shape of the package: each module has its test, each public name its docstring."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vgae

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path.relative_to(ROOT / "vgae")
    for path in (ROOT / "vgae").rglob("*.py")
    if not path.name.startswith("_")
)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_each_module_has_a_test_in_its_place(module):
    if module.name == "version.py":
        pytest.skip("nothing but constants")
    assert (ROOT / "tests" / module.parent / f"test_{module.name}").is_file()


def test_public_names_are_the_same_to_the_type_checker_and_at_run_time():
    tree = ast.parse((ROOT / "vgae" / "__init__.py").read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    names = {
        alias.name: node.module
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert names == vgae._HOME
    assert dir(vgae) == sorted([*names, "__version__"])


def test_modules_are_there_after_a_bare_import():
    code = (
        "import sys, vgae; assert sys.modules.keys().isdisjoint({'numpy', 'torch'});"
        "vgae.encoders.PyGEncoder, vgae.testing.check_graph_model, vgae.recipes.BEST;"
        "[getattr(vgae, name) for name in vgae._MODULES]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_module_hides_a_public_name():
    """``import vgae.x`` sets ``vgae.x`` to the module, whatever else has that name."""
    submodules = {path.stem for path in (ROOT / "vgae").iterdir()}
    assert submodules.isdisjoint(vgae._HOME)


def test_star_imports_the_public_names():
    names = {}
    exec("from vgae import *", names)
    assert vgae._HOME.keys() < names.keys()


@pytest.mark.parametrize("name", sorted(vgae._HOME))
def test_each_public_name_exists_and_says_what_it_does(name):
    value = getattr(vgae, name)
    assert inspect.getdoc(value)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        vgae.nothing  # noqa: B018


def test_the_package_never_unpickles():
    banned = r"import pickle\b|pickle\.load|torch\.load\(|allow_pickle=True|(?<!\.)\b(eval|exec)\("
    for path in (ROOT / "vgae").rglob("*.py"):
        found = re.findall(banned, path.read_text())
        assert not found or path.name == "torch_files.py", path  # tests/test_security.py has it

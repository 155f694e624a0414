"""The Python of the guides for new users runs, with few epochs."""

import re
from functools import partial
from pathlib import Path

import pytest

import vgae
from vgae.recipes import BEST

DOCS = Path(__file__).parents[1] / "docs"
BLOCKS = {
    f"{page}-{number}": block
    for page in ("quickstart", "notebooks", "migrating")
    for number, block in enumerate(
        re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(), flags=re.DOTALL)
    )
}


@pytest.mark.parametrize("name", BLOCKS)
def test_each_block_of_python_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit = vgae.fit
    short = BEST.override({"epochs": 2})
    few = partial(lambda *given, recipe=short, **options: fit(*given, recipe=recipe, **options))
    monkeypatch.setattr(vgae, "fit", few)
    monkeypatch.setattr(
        "vgae.estimators.graphs.fit",
        lambda *given, recipe, **options: fit(
            *given, recipe=recipe.override({"epochs": 2}), **options
        ),
    )
    monkeypatch.setattr("vgae.recipes.PAPER", vgae.recipes.PAPER.override({"epochs": 2}))
    exec(BLOCKS[name], {"__name__": "guide"})


def test_the_screen_of_the_start_is_that_of_the_command():
    """Lines that do not depend on the machine."""
    page = (DOCS / "quickstart.md").read_text()
    graph = vgae.load_dataset("stdlib")
    split = vgae.split_links(graph, seed=0)
    assert f"{graph.num_nodes} nodes, {graph.num_links:,} links" in page
    counts = split.train.shape[1], split.val.pos.shape[1], split.test.pos.shape[1]
    assert "{:,} links for training, {} for validation, {} for test".format(*counts) in page

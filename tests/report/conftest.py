"""A small run on a graph that the tests of its page share."""

from dataclasses import replace

import pytest

from vgae.recipes import PAPER
from vgae.run import train_run


@pytest.fixture(scope="session")
def graph_run(sbm_file, tmp_path_factory):
    """A run of 120 nodes that learned something, without figures."""
    recipe = replace(PAPER, epochs=60)
    return train_run(str(sbm_file), tmp_path_factory.mktemp("runs") / "sbm", recipe=recipe)

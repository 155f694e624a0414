"""What a report of a fault has."""

import re
import tomllib
from pathlib import Path

from vgae.runtime.environment import OPTIONAL, REQUIRED, environment


def test_missing_packages_are_none_and_all_is_plain():
    found = environment()
    assert set(found["packages"]) == {*REQUIRED}
    assert all(found["packages"].values())
    assert set(found["optional"]) == {*OPTIONAL}
    assert found["threads"] >= 1
    assert found["gpus"] == []


def test_the_packages_of_all_extras_are_among_them():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    named = {
        re.match(r"[\w-]+", one)[0]
        for extra, packages in extras.items()
        if extra not in ("dev", "docs")
        for one in packages
    }
    assert named <= {*OPTIONAL}

"""The command env, and the completion of commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import vgae


def test_it_shows_versions_and_no_paths(command):
    status, out, _ = command("env")
    assert status == 0
    assert f"vgae             {vgae.__version__}\n" in out
    for hidden in (Path.home(), Path(vgae.__file__).parent, os.uname().nodename):
        assert f"{hidden}" not in out
    found = json.loads(command("env", "--json")[1])
    assert found["vgae"] == vgae.__version__
    assert found["packages"]["torch"]


def completed(words, count):
    """What bash is offered."""
    asked = {"_VGAE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    code = "import sys; from vgae.cli import main; main([]); "
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True
    )
    return done.stdout.split()


def test_bash_completes_commands_and_options():
    assert completed("vgae exp", 1) == ["export"]
    assert completed("vgae train --ep", 2) == ["--epochs"]

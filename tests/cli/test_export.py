"""The commands export and push."""

import json

import pytest

from vgae.recipes import PAPER
from vgae.runs.graphs import train_run


@pytest.fixture(scope="module")
def folder(sbm_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    recipe = PAPER.override({"epochs": "1"})
    return train_run(str(sbm_file), folder, recipe=recipe, progress=False).folder


def test_the_file_is_named_with_its_inputs_and_the_difference(command, folder, tmp_path):
    status, out, _ = command("export", folder, "-o", tmp_path / "e.pt2", "--quiet")
    assert status == 0
    assert f"{tmp_path / 'e.pt2'}: torch.export; x, edge_index -> mu, logvar" in out
    assert "largest difference" in out
    status, out, _ = command("export", folder, "-o", tmp_path / "f.pt2", "--sparse", "--json")
    found = json.loads(out)
    assert (status, found["opset"], found["inputs"][0]) == (0, None, "x_crow")
    assert found["difference"] < 1e-5


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("-o", "e.tx"), "EXPORT_FORMAT"),
        (("--onnx", "/dev/null/e.onnx"), "CANNOT_WRITE"),
    ],
)
def test_wrong_places_are_one_line(command, folder, arguments, code):
    status, out, err = command("export", folder, *arguments)
    assert status != 0
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"error[{code}]: ")


def test_a_folder_that_is_no_run_is_told(command, tmp_path):
    assert "error[NOT_A_RUN]" in command("export", tmp_path, "-o", tmp_path / "e.pt2")[2]
    assert "error[HUB]" in command("push", tmp_path, "name")[2]


def test_push_prints_the_address(command, folder, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")

    class Api:
        def __init__(self, **_):
            pass

        def create_repo(self, name, **_):
            return f"https://hub.example/{name}"

        def upload_folder(self, *, folder_path, **_):
            assert folder_path == str(folder / "model")

    monkeypatch.setattr(hub, "HfApi", Api)
    assert command("push", folder, "me/x")[1] == "https://hub.example/me/x\n"
    assert json.loads(command("push", folder, "me/x", "--json")[1])["url"].endswith("me/x")

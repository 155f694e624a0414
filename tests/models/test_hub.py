"""Models go to the Hugging Face Hub and come back; here by an object in its place."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

import vgae
from vgae.errors import ArtifactError, ResourceError, UsageError
from vgae.models.hub import push_to_hub


class Hub:
    """A hub in a folder."""

    def __init__(self, folder):
        self.folder, self.created = folder, []

    def create_repo(self, repo_id, *, private, exist_ok):
        self.created.append((repo_id, private, exist_ok))
        return f"https://hub.example/{repo_id}"

    def upload_folder(self, *, repo_id, folder_path, commit_message, allow_patterns):
        (self.folder / repo_id).mkdir(parents=True, exist_ok=True)
        for path in Path(folder_path).iterdir():
            if path.name in allow_patterns:
                shutil.copy(path, self.folder / repo_id)

    def snapshot_download(self, name, *, allow_patterns):
        if not (self.folder / name).exists():
            raise RuntimeError(f"404: there is no {name}.\nmore")
        return str(self.folder / name)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    found = Hub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", found.snapshot_download)
    return found


@pytest.fixture
def model():
    return vgae.VAE(vgae.GCNEncoder(4, 8, 2), vgae.InnerProductDecoder()).eval()


def test_a_model_comes_back_as_it_went(hub, model):
    assert push_to_hub(model, "me/mine", api=hub) == "https://hub.example/me/mine"
    assert hub.created == [("me/mine", False, True)]
    names = {path.name for path in (hub.folder / "me/mine").iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors"}
    again = vgae.from_pretrained("hf:me/mine")
    pairs = zip(again.state_dict().values(), model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_of_a_folder_only_the_files_of_a_model_are_uploaded(hub, model, tmp_path):
    vgae.save_pretrained(model, tmp_path / "run" / "model")
    (tmp_path / "run" / "model" / "secret.txt").write_text("x")
    push_to_hub(tmp_path / "run", "me/run", private=True, api=hub)
    assert hub.created == [("me/run", True, True)]
    assert not (hub.folder / "me/run/secret.txt").exists()
    with pytest.raises(ArtifactError, match="neither a run nor a model"):
        push_to_hub(tmp_path, "me/run", api=hub)


def test_what_the_hub_refuses_is_one_line(hub, model):
    class Refusing(Hub):
        def create_repo(self, *args, **options):
            error = RuntimeError("\n401 Client Error.\nRequest ID: 7")
            error.response = type("Response", (), {"status_code": 401})
            raise error

    with pytest.raises(ResourceError, match="401 Client Error; log in with 'hf auth login'") as e:
        push_to_hub(model, "me/mine", api=Refusing(hub.folder))
    assert "\n" not in str(e.value)
    with pytest.raises(ArtifactError, match="me/none cannot be downloaded: 404: there is no"):
        vgae.from_pretrained("hf:me/none")


@pytest.mark.row("R40")
@pytest.mark.parametrize("name", ["mine", "me/mine/x", "../mine", "me/", ""])
def test_a_name_is_a_user_and_a_model(hub, model, name, command):
    with pytest.raises(UsageError, match="USER/MODEL"):
        push_to_hub(model, name, api=hub)
    with pytest.raises(UsageError, match="USER/MODEL"):
        vgae.from_pretrained(f"hf:{name}")


@pytest.mark.row("R40")
def test_without_the_client_the_error_says_how_to_install_it(
    model, monkeypatch, command, tmp_path
):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"pip install 'vgae\[hub\]'"):
        push_to_hub(model, "me/mine")
    status, out, err = command("push", tmp_path, "me/mine")
    assert (status, out) == (2, "")
    assert "error[MISSING_PACKAGE]" in err

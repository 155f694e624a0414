"""Models on the Hugging Face Hub; huggingface_hub is imported when used."""

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from vgae.errors import ArtifactError, ResourceError, UsageError
from vgae.models.embedding import Trained, model_of
from vgae.models.pretrained import FILES, save_pretrained
from vgae.runtime.tables import optional_module
from vgae.vae import VAE

_NAME = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"


def check_hub(name: str) -> None:
    """Raise ``UsageError`` unless a name is ``USER/MODEL`` and huggingface_hub is installed."""
    if not re.fullmatch(_NAME, name):
        raise UsageError(
            "HUB", f"a model on the hub is named USER/MODEL, such as me/cora, got {name!r:.60}."
        )
    optional_module("huggingface_hub", "hub")


def push_to_hub(
    trained: VAE | Trained | str | os.PathLike[str],
    name: str,
    *,
    private: bool = False,
    message: str = "Upload model",
    api: Any = None,
) -> str:
    """Upload a model with its card to the Hugging Face Hub, and return its address.

    The files are those of :func:`vgae.save_pretrained`, or of the ``model`` folder of a run, and
    nothing else of the run: weights, settings, card, calibration, and names of nodes and features,
    if there are any. You must be logged in (``hf auth login``, or ``HF_TOKEN``).

    Args:
        trained: A run, a folder of :func:`vgae.save_pretrained`, a training result or a model.
        name: ``"USER/MODEL"``; the repository is made if there is none.
        private: Whether a new repository is private.
        message: Title of the commit.
        api: Object with ``create_repo`` and ``upload_folder`` as ``huggingface_hub.HfApi``, by
            default one of these.

    Raises:
        UsageError: ``MISSING_PACKAGE`` without huggingface_hub; ``HUB`` if the name is not valid.
        ResourceError: ``HUB`` if the hub does not take it.
    """
    check_hub(name)
    if api is None:
        import huggingface_hub

        api = huggingface_hub.HfApi(library_name="vgae")
    with tempfile.TemporaryDirectory() as temporary:
        folder = _folder_of(trained, Path(temporary) / "model")
        try:
            url = api.create_repo(name, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=name,
                folder_path=str(folder),
                commit_message=message,
                allow_patterns=list(FILES),
            )
        except Exception as error:  # of the network, of the hub, of its client
            raise ResourceError("HUB", f"{name} was not uploaded: {_brief(error)}") from error
    return str(url)


def downloaded(name: str) -> Path:
    """Return a folder with the files of a model on the hub; those there already are not loaded.

    Raises:
        ArtifactError: ``HUB`` if it cannot be had.
        UsageError: As :func:`check_hub`.
    """
    check_hub(name)
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(FILES)))
    except Exception as error:  # of the network, of the hub, of its client
        raise ArtifactError("HUB", f"{name} cannot be downloaded: {_brief(error)}") from error


def _folder_of(trained: Any, new: Path) -> Path:
    """Return the folder of a model, which is written if there is none."""
    if isinstance(trained, str | os.PathLike):
        given = Path(trained)
        folder = given if (given / "model.safetensors").exists() else given / "model"
        if not (folder / "model.safetensors").exists():
            raise ArtifactError("NOT_A_RUN", f"{given} holds neither a run nor a model.")
        return folder
    if isinstance(folder := getattr(trained, "folder", None), Path):
        return folder / "model"
    save_pretrained(model_of(trained), new)
    return new


def _brief(error: Exception) -> str:
    """Return the first line of an error as a sentence, with what mends the usual one."""
    line = [*(text for text in str(error).splitlines() if text.strip()), type(error).__name__][0]
    status = getattr(getattr(error, "response", None), "status_code", None)
    login = "; log in with 'hf auth login', or set HF_TOKEN" if status in (401, 403) else ""
    return f"{line.strip().rstrip('.'):.200}{login}."

"""Files of a model: weights as safetensors, configuration as JSON."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from vgae.errors import ArtifactError, VgaeError
from vgae.runtime.atomic import replacing
from vgae.runtime.reading import parsed_json, read_regular
from vgae.vae import VAE
from vgae.version import __version__

_SCALE = "encoder.feature_scale"
# Errors that settings and weights of another form cause.
_BROKEN = (
    *(AttributeError, ArithmeticError, OSError, LookupError),
    *(TypeError, ValueError, RuntimeError, SafetensorError),
)


def write_model(folder: Path, model: VAE, settings: Mapping[str, Any]) -> None:
    """Write the weights of a model and the settings that rebuild it, into a new folder."""
    folder.mkdir(parents=True)
    path = folder / "model.safetensors"
    save_weights(path, model.state_dict())
    # Safetensors files have no checksum.
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    content = {**settings, "vgae_version": __version__, "weights_sha256": digest}
    write_json(folder / "config.json", content)


def read_model(folder: Path, build: Callable[[dict[str, Any]], VAE]) -> VAE:
    """Load a model, which ``build`` builds from its settings.

    Raises:
        ArtifactError: If a file is missing or damaged.
    """
    path = folder / "config.json"
    settings = read_json(path)
    try:
        # Untrusted settings may describe a model of any size; this device allocates nothing.
        with torch.device("meta"):
            shell = build(settings)
        path = folder / "model.safetensors"
        content = read_regular(path)
        if hashlib.sha256(content).hexdigest() != settings.get("weights_sha256", ""):
            raise ValueError("its checksum is not the one that config.json has")
        weights = load(content)
        _check_weights(shell, weights)
        model = build(settings)
        model.load_state_dict(weights)
    except VgaeError as error:
        if error.code == "CODE":  # the model is intact
            raise ArtifactError(error.code, f"{folder}: {error}") from None
        raise ArtifactError("MODEL_CORRUPT", f"{folder}: {error}") from None
    except _BROKEN as error:
        reason = [*str(error).splitlines(), type(error).__name__][0].rstrip(".")
        reason = f"it lacks {reason}" if isinstance(error, KeyError) else reason
        raise ArtifactError(
            "MODEL_CORRUPT",
            f"{path} cannot be loaded: {reason:.200}; bring the file back, or train again.",
        ) from None
    return model.eval()


def _check_weights(model: VAE, weights: Mapping[str, Tensor]) -> None:
    """Raise ``ValueError`` unless the weights are finite and of the shapes of a model."""
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    if _SCALE in weights:
        shapes[_SCALE] = torch.Size([model.encoder.in_channels])  # pyright: ignore
    if differing := sorted(shapes.keys() ^ weights.keys()):
        raise ValueError(f"{differing[0]!r:.60} is missing or unknown")
    for name, value in weights.items():
        if value.shape != shapes[name]:
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}, its config.json says"
                f" {tuple(shapes[name])}"
            )
        if not value.is_floating_point() or not value.isfinite().all():
            raise ValueError(f"{name} is not finite numbers")


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors; equal weights give equal bytes."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    with replacing(path) as temporary:
        # One entry of metadata, as safetensors writes several in a random order. As bytes, as its
        # function for files does not raise OSError for a full disk.
        temporary.write_bytes(save(tensors, metadata={"format": "pt"}))


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write strict JSON, whole or not at all."""
    try:
        text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a path that is not valid Unicode
        text = json.dumps(content, indent=2, allow_nan=False).encode()
    with replacing(path) as temporary:
        temporary.write_bytes(text + b"\n")


def read_text(path: Path) -> str:
    """Return the text of a file of a finished run; raise ``ArtifactError`` if it has none."""
    try:
        return read_regular(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ArtifactError(
            "NOT_A_RUN",
            f"{path}: {reason}; this folder is not a finished run: pass the folder of one, such as"
            " runs/NAME, or train again.",
        ) from None


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a finished run."""
    try:
        content = parsed_json(read_text(path))
    except ArtifactError:
        raise
    except ValueError as error:
        reason = str(error).rstrip(".")
        raise ArtifactError("RUN_CORRUPT", f"{path} is not JSON: {reason:.120}.") from None
    if not isinstance(content, dict):
        raise ArtifactError("RUN_CORRUPT", f"{path} must hold a JSON object.")
    return content

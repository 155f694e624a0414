"""Folders of models in the layout of Hugging Face."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from vgae.errors import ArtifactError, UsageError
from vgae.graphs.encoding import TableEncoder
from vgae.graphs.graph import NodeId
from vgae.models.card import card_of_config, write_card
from vgae.models.files import read_json, read_model, write_json, write_model
from vgae.models.graphs import from_config as graph_from_config
from vgae.models.graphs import model_config
from vgae.models.images import from_config as images_from_config
from vgae.models.images import image_config, is_image_model
from vgae.vae import VAE

_ENCODER = "feature_encoder.json"
_HUB = "hf:"
FILES = (
    *("README.md", "config.json", "model.safetensors"),
    *("node_ids.json", "calibration.json", _ENCODER),
)
"""Files of the folder of a model; some are there only if there is something to tell."""


class Storable(Protocol):
    """A value that is stored as JSON, such as a calibration."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        ...


def save_pretrained(
    model: VAE,
    folder: str | os.PathLike[str],
    *,
    node_ids: Sequence[NodeId] | None = None,
    calibration: Storable | None = None,
    feature_encoder: Storable | None = None,
) -> None:
    """Write a model to a folder, for embeddings and scores elsewhere.

    ``config.json`` has the arguments that rebuild the model, ``model.safetensors`` its weights, as
    for ``huggingface_hub``'s ``PyTorchModelHubMixin``, and ``README.md`` a model card;
    :func:`vgae.push_to_hub` uploads the folder. The optional ``node_ids.json``,
    ``calibration.json`` and ``feature_encoder.json`` are beside them. Nothing is pickled.

    Args:
        model: A graph model of registered parts, see :mod:`vgae.models.registry`; or an image
            model of this package's encoders and decoders.
        folder: New folder.
        node_ids: Names of the nodes in training.
        calibration: Map of its logits to probabilities; see :func:`vgae.calibrate`.
        feature_encoder: What made the features of a table, :attr:`vgae.Graph.feature_encoder`;
            see :func:`load_feature_encoder`.

    Raises:
        UsageError: If the folder exists, or the model cannot be rebuilt.
    """
    folder = Path(folder)
    config = image_config(model) if is_image_model(model) else model_config(model)
    if folder.exists():
        raise UsageError("MODEL_EXISTS", f"{folder} is there already; choose another folder.")
    if model.trained_on:
        config["trained_on"] = list(model.trained_on)
    write_model(folder, model, config)
    write_card(folder, card_of_config(config))
    if node_ids is not None:
        write_json(folder / "node_ids.json", list(node_ids))
    if calibration is not None:
        write_json(folder / "calibration.json", calibration.to_dict())
    if feature_encoder is not None:
        write_json(folder / _ENCODER, feature_encoder.to_dict())


def from_pretrained(folder: str | os.PathLike[str]) -> VAE:
    """Load a model of :func:`save_pretrained`, or the ``model`` folder of a run.

    Args:
        folder: The folder; or ``"hf:USER/MODEL"``, a model on the Hugging Face Hub (extra
            ``hub``), which is downloaded once. Nothing in a model is run.

    Raises:
        ArtifactError: If a file is missing or damaged, or cannot be downloaded.
        UsageError: ``MISSING_PACKAGE`` without huggingface_hub.
    """
    if isinstance(folder, str) and folder.startswith(_HUB):
        from vgae.models.hub import downloaded  # it needs this module

        folder = downloaded(folder.removeprefix(_HUB))
    return read_model(Path(folder), _built)


def load_feature_encoder(folder: str | os.PathLike[str]) -> TableEncoder | None:
    """Return the encoder of the features in the folder of a model, or None if it has none.

    It encodes a later table alike: ``vgae.read_graph(path, features=table, encode=encoder)``.

    Raises:
        ArtifactError: ``ENCODER_CORRUPT``, or if it is not JSON.
    """
    path = Path(folder) / _ENCODER
    if not path.exists():
        return None
    try:
        return TableEncoder.from_dict(read_json(path))
    except ArtifactError as error:
        if error.code != "ENCODER_CORRUPT":
            raise
        raise ArtifactError(error.code, f"{path}: {error}") from None


def _built(config: Mapping[str, Any]) -> VAE:
    """Build a model from its configuration; that of an image model has a shape."""
    model = images_from_config(config) if "shape" in config else graph_from_config(config)
    seen = config.get("trained_on", [])
    if not isinstance(seen, list) or not all(isinstance(digest, str) for digest in seen):
        raise TypeError("trained_on must be a list of strings")
    model.trained_on = tuple(seen)
    return model

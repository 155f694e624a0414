"""save_pretrained, from_pretrained: a graph model in a folder, in the layout of Hugging Face."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder, LinearGCNEncoder
from vgae.errors import UsageError
from vgae.evaluation.calibration import Calibration
from vgae.graphs.graph import NodeId
from vgae.models.files import read_model, write_calibration, write_json, write_model
from vgae.models.graphs import MODELS, build_model
from vgae.recipes import Recipe
from vgae.runtime.streams import stream
from vgae.vae import VAE

_FIELDS = ("hidden_channels", "latent_channels", "weighting", "bias", "logit_bias")
# Later ones, whose defaults are what models had before.
_OPTIONS = (
    "activation",
    "feature_dropout",
    "dropout",
    "self_loop_weight",
    "latent_norm",
    "degrees",
)


def save_pretrained(
    model: VAE,
    folder: str | os.PathLike[str],
    *,
    node_ids: Sequence[NodeId] | None = None,
    calibration: Calibration | None = None,
) -> None:
    """Write a graph model: all that is needed to embed and score with it elsewhere.

    ``config.json`` has the arguments that rebuild the model, ``model.safetensors`` its weights,
    the two files of ``huggingface_hub``'s ``PyTorchModelHubMixin``: its ``upload_folder`` uploads
    them, and :func:`from_pretrained` reads what its ``snapshot_download`` returns. Beside them
    ``node_ids.json`` and ``calibration.json``, if they are given. Nothing is pickled.

    Args:
        model: Of a :class:`~vgae.GCNEncoder` or :class:`~vgae.LinearGCNEncoder` and an
            :class:`~vgae.InnerProductDecoder`.
        folder: Is made, and must not be there yet.
        node_ids: Names of the nodes that it was trained on.
        calibration: From its logits to probabilities; see :func:`vgae.calibrate`.

    Raises:
        UsageError: If the folder is there already, or the model is of other parts.
    """
    folder = Path(folder)
    settings = _settings(model)
    if folder.exists():
        raise UsageError("MODEL_EXISTS", f"{folder} is there already; choose another folder.")
    write_model(folder, model, settings)
    if node_ids is not None:
        write_json(folder / "node_ids.json", list(node_ids))
    if calibration is not None:
        write_calibration(folder, calibration)


def from_pretrained(folder: str | os.PathLike[str]) -> VAE:
    """Bring a model back that :func:`save_pretrained` wrote, or the ``model`` folder of a run.

    Raises:
        ArtifactError: If a file is missing or damaged.
    """

    def build(settings: dict[str, Any]) -> VAE:
        values = {name: settings[name] for name in _FIELDS}
        values |= {name: settings[name] for name in _OPTIONS if name in settings}
        recipe = Recipe(name="saved", **values)
        model = build_model(settings["model"], settings["in_channels"], recipe, stream(0, "init"))
        names = settings.get("feature_names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise TypeError("feature_names must be a list of strings")
        _gcn(model).feature_names = tuple(names)
        return model

    return read_model(Path(folder), build)


def _settings(model: VAE) -> dict[str, Any]:
    """Return what rebuilds a model, or say that nothing does."""
    encoder, decoder = _gcn(model), model.decoder
    if type(decoder) is not InnerProductDecoder:
        raise UsageError(
            "MODEL",
            f"a decoder {type(decoder).__name__} is not known here and could not be rebuilt; save"
            " its state_dict() with safetensors.",
        )
    kind = (type(encoder), encoder.posterior)
    recipe: dict[str, Any] = {
        "latent_channels": encoder.latent_channels,
        "weighting": decoder.weighting,
        "logit_bias": decoder.bias is not None,
        "self_loop_weight": encoder.self_loop_weight,
        "latent_norm": encoder.length or 0.0,
        "degrees": encoder.degree_weight is not None,
    }
    if isinstance(encoder, GCNEncoder):
        recipe |= {
            "hidden_channels": encoder.weight0.shape[1],
            "bias": encoder.bias0 is not None,
            "activation": encoder.activation,
            "feature_dropout": encoder.dropout[0],
            "dropout": encoder.dropout[1],
        }
    else:
        recipe |= {
            "hidden_channels": Recipe.hidden_channels,
            "bias": encoder.bias is not None,
            "feature_dropout": encoder.dropout,
        }
    return {
        "model": next(name for name, parts in MODELS.items() if parts == kind),
        "in_channels": encoder.in_channels,
        **recipe,
        "feature_names": list(encoder.feature_names),
    }


def _gcn(model: VAE) -> GCNEncoder | LinearGCNEncoder:
    if type(model.encoder) not in (GCNEncoder, LinearGCNEncoder):
        raise UsageError(
            "MODEL",
            f"an encoder {type(model.encoder).__name__} is not known here and could not be"
            " rebuilt; save its state_dict() with safetensors.",
        )
    return model.encoder  # pyright: ignore[reportReturnType]

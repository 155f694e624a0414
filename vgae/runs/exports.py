"""Encoders of runs as files for other programs, checked with the data of the run."""

import os
from pathlib import Path
from typing import Any

from vgae.models.tensors import Exported, export_encoder
from vgae.runs.kind import FinishedRun


def export_run(
    run: FinishedRun, path: str | os.PathLike[str] | None = None, *, sparse: bool = False
) -> Exported:
    """Write the encoder of a run as ``.onnx`` or ``.pt2``, and compare it with the run's own.

    The file has texts about the training: the names of model, recipe and data, the seed and how
    the features were made.

    Args:
        run: A run on a graph or on images.
        path: Destination; by default ``encoder.onnx`` in the folder of the run.
        sparse: Whether features are given as sparse CSR; see
            :func:`vgae.models.tensors.export_encoder`.

    Raises:
        UsageError: As :func:`vgae.models.tensors.export_encoder`.
        DataError: If the data of the run are not there.
    """
    path = run.folder / "encoder.onnx" if path is None else Path(path)
    config, loaded = run.config, _of(run)
    recipe = config["recipe"]["name"]
    texts = {"model": config["model"], "recipe": recipe, "seed": str(config["seed"])}
    if "images" in config:
        texts["data"] = config["images"]["name"]
        images = loaded.images
        data = images.test if len(images.test) else images.train
        return export_encoder(run, path, data[:1000], metadata=texts)
    if "graph" not in config:  # a typed graph, whose encoder is refused
        return export_encoder(run, path)
    texts |= {"data": config["graph"]["name"], "features_of_run": config["graph"]["features"]}
    if loaded.feature_encoder is not None:
        texts["features_of_run"] += ", a table encoded by feature_encoder.json of the model"
    edges = loaded.split.message_edge_index
    how: Any = {"edge_index": edges, "sparse": sparse, "metadata": texts}
    return export_encoder(run, path, loaded.graph, **how)


def _of(run: FinishedRun) -> Any:
    """Return a run, whose attributes depend on its kind."""
    return run

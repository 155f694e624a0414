"""What this package runs on: versions, threads and devices, for reports of faults."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from vgae.version import __version__

REQUIRED = (
    *("torch", "torch-geometric", "numpy", "scipy", "scikit-learn", "networkx", "narwhals"),
    *("safetensors", "typer", "rich", "matplotlib"),
)
OPTIONAL = (
    *("numba", "triton", "pyarrow", "pandas", "polars", "anndata", "faiss-cpu", "pillow"),
    *("plotly", "tensorboard", "mlflow-skinny", "wandb", "optuna", "onnx", "onnxscript"),
    *("onnxruntime", "huggingface-hub", "ogb"),
)


def environment() -> dict[str, Any]:
    """Return versions, threads and devices as plain values.

    There are no paths, no names of the machine or of its user, and no values of variables.
    """
    import psutil
    import torch

    gpus = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    return {
        "vgae": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "cuda": torch.version.cuda,
        "gpus": gpus,
        "packages": {name: _version(name) for name in REQUIRED},
        "optional": {name: _version(name) for name in OPTIONAL},
    }


def _version(name: str) -> str | None:
    """Return the version of an installed package; ``None`` if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None

"""Log of a training for TensorBoard."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from vgae.runtime.atomic import writing
from vgae.runtime.tables import optional_module
from vgae.training.history import HistoryRow


def check_tensorboard() -> None:
    """Raise ``UsageError`` if TensorBoard is not installed."""
    optional_module("tensorboard", "tensorboard")


@contextmanager
def tensorboard_log(folder: str | os.PathLike[str]) -> Iterator[Callable[[HistoryRow], None]]:
    """Yield a function that writes a row of the history, for ``on_row`` of :func:`vgae.fit`.

    Scalars have the names of the fields of a row; ``None`` is not written. A resumed training
    reports its rows from the first again: earlier rows are purged, so that no epoch appears twice.

    Args:
        folder: Argument of ``tensorboard --logdir``; created with the first row.

    Raises:
        UsageError: If TensorBoard is not installed.
        ResourceError: If the folder cannot be written.
    """
    check_tensorboard()
    from torch.utils.tensorboard.writer import SummaryWriter

    writer: Any = None

    def write(row: HistoryRow) -> None:
        nonlocal writer
        with writing(folder):
            if writer is None:
                writer = SummaryWriter(os.fspath(folder), purge_step=row.epoch)
            for name, value in row._asdict().items():
                if name != "epoch" and value is not None:
                    writer.add_scalar(name, value, row.epoch)

    try:
        yield write
    finally:
        if writer is not None:
            with writing(folder):
                writer.close()

"""HistoryRow: one epoch in numbers. progress_bar: the rows as they come."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple


class HistoryRow(NamedTuple):
    """One epoch in numbers; ``val_...`` are ``None`` where nothing held out was looked at.

    Attributes:
        epoch: 1 for the first.
        loss: What was minimised.
        recon: Negative log-likelihood, with the decoder's weights, summed over the epoch.
        kl: In nats, summed.
        val_auc: Of the validation links.
        val_ap: Of the validation links.
        val_elbo: Of the validation images, in nats per image.
    """

    epoch: int
    loss: float
    recon: float
    kl: float
    val_auc: float | None = None
    val_ap: float | None = None
    val_elbo: float | None = None


def checked_row(row: HistoryRow) -> HistoryRow:
    """Return a row that a file says, if it is numbers.

    Raises:
        ValueError: If it is not.
    """
    numbers = row[1:4] + tuple(value for value in row[4:] if value is not None)
    if type(row.epoch) is not int or any(type(value) not in (int, float) for value in numbers):
        raise ValueError("a row of the history is not numbers")
    return row


@contextmanager
def progress_bar(
    total: int, num_items: int, *, wanted: bool | None
) -> Iterator[Callable[[int, Sequence[HistoryRow]], None]]:
    """Yield a function that shows an epoch; it does nothing where no bar is wanted.

    It shows the rows that were fetched already: to fetch one for the bar would make a GPU wait.
    """
    if not (sys.stderr.isatty() if wanted is None else wanted) or total == 0:
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining
    from rich.table import Column

    # In a narrow terminal it is the text that is cut, not the counter.
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    columns = (
        MofNCompleteColumn(),
        BarColumn(bar_width=5),
        Remaining(compact=True),
        TextColumn("{task.fields[text]}", table_column=rest),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True) as bar:
        task = bar.add_task("", total=total, text="")

        def show(number: int, history: Sequence[HistoryRow]) -> None:
            text = ""
            if history:
                row = history[-1]
                recon, kl = row.recon / num_items, row.kl / num_items
                text = f"loss {row.loss:.4f} (recon {recon:.3f} KL {kl:.3f})"
                if row.val_auc is not None and row.val_ap is not None:
                    text += f" val AUC {100 * row.val_auc:.1f} AP {100 * row.val_ap:.1f}"
                if row.val_elbo is not None:
                    text += f" val ELBO {row.val_elbo:.2f}"
            bar.update(task, completed=number, text=text)

        yield show

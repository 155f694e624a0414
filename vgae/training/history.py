"""HistoryRow: one epoch in numbers. row_text: the newest ones in words."""

from collections.abc import Sequence
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


def row_text(history: Sequence[HistoryRow], num_items: int) -> str:
    """Return how a training does: the newest scores of what is held out first, then the loss.

    Args:
        history: Rows that were fetched already: to fetch one for this would make a GPU wait.
        num_items: What the parts of the loss are summed over.
    """
    if not history:
        return ""
    row, words = history[-1], []
    seen = next((r for r in reversed(history) if r[4:] != (None, None, None)), None)
    if seen is not None and seen.val_auc is not None and seen.val_ap is not None:
        words.append(f"val AUC {100 * seen.val_auc:.1f} AP {100 * seen.val_ap:.1f}")
    if seen is not None and seen.val_elbo is not None:
        words.append(f"val ELBO {seen.val_elbo:.2f}")
    parts = {"loss": row.loss, "recon": row.recon / num_items, "KL": row.kl / num_items}
    # As many digits each time, so that nothing moves about.
    words += [f"{name} {value:.{1 if value >= 10 else 3}f}" for name, value in parts.items()]
    return " ".join(words)

"""History of a training: one row of numbers per epoch, and its text for progress displays."""

from collections.abc import Sequence
from typing import NamedTuple


class HistoryRow(NamedTuple):
    """One epoch in numbers; ``val_...`` are ``None`` in epochs without validation.

    Attributes:
        epoch: Number of the epoch, from 1.
        loss: Loss that is minimised.
        recon: Negative log-likelihood, with the decoder's weights, summed over the epoch.
        kl: KL divergence in nats, summed over the epoch.
        val_auc: ROC AUC of the validation links.
        val_ap: Average precision of the validation links.
        val_elbo: ELBO of the validation images, in nats per image.
    """

    epoch: int
    loss: float
    recon: float
    kl: float
    val_auc: float | None = None
    val_ap: float | None = None
    val_elbo: float | None = None


def checked_row(row: HistoryRow) -> HistoryRow:
    """Return a row from a file; raise ``ValueError`` unless it is numbers."""
    numbers = row[1:4] + tuple(value for value in row[4:] if value is not None)
    if type(row.epoch) is not int or any(type(value) not in (int, float) for value in numbers):
        raise ValueError("a row of the history is not numbers")
    return row


def row_text(history: Sequence[HistoryRow], num_items: int) -> str:
    """Return the newest validation scores and the newest loss as text.

    Args:
        history: Rows that are already fetched from the GPU.
        num_items: Divisor of the parts of the loss.
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
    # A fixed number of digits, so that the text does not move.
    words += [f"{name} {value:.{1 if value >= 10 else 3}f}" for name, value in parts.items()]
    return " ".join(words)

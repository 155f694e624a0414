"""Rows of a table of scores: summaries over seeds, published scores, paired tests, other forms."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from vgae.errors import DataError, UsageError, check_choice
from vgae.evaluation.metrics import LinkScores
from vgae.evaluation.paired import TITLES, Comparison, PairedTest, compare_scores
from vgae.graphs.defaults import TEST_FRACTION, VAL_FRACTION
from vgae.runs import table_text
from vgae.runs.trials import Trial
from vgae.runtime.tables import (
    FORMATS,
    checked_suffix,
    csv_lines,
    optional_module,
    write_table,
)

if TYPE_CHECKING:
    import pandas

Metric = Literal["auc", "ap"]
METRICS: tuple[Metric, ...] = ("auc", "ap")
SUFFIXES = (".tex", ".md", *(suffix for suffix in FORMATS if suffix != ".json"))
_RATIO = TEST_FRACTION / (1 - TEST_FRACTION - VAL_FRACTION)  # of the splits of a table

PUBLISHED = {
    ("cora", "gae", "raw"): LinkScores(0.910, 0.920),
    ("cora", "vgae", "raw"): LinkScores(0.914, 0.926),
    ("citeseer", "gae", "raw"): LinkScores(0.895, 0.899),
    ("citeseer", "vgae", "raw"): LinkScores(0.908, 0.920),
    ("pubmed", "gae", "raw"): LinkScores(0.964, 0.965),
    ("pubmed", "vgae", "raw"): LinkScores(0.944, 0.947),
    ("cora", "gae", "none"): LinkScores(0.843, 0.881),
    ("cora", "vgae", "none"): LinkScores(0.840, 0.877),
    ("citeseer", "gae", "none"): LinkScores(0.787, 0.841),
    ("citeseer", "vgae", "none"): LinkScores(0.789, 0.841),
    ("pubmed", "gae", "none"): LinkScores(0.822, 0.874),
    ("pubmed", "vgae", "none"): LinkScores(0.827, 0.875),
}
"""Test AUC and AP of Kipf & Welling (2016), table 1, by data set, model and features."""
SOURCE = (
    "Published: Kipf & Welling (2016), table 1: one fixed split, mean over 10 initialisations."
)


class Summary(NamedTuple):
    """Mean and standard deviation (n - 1; 0 for one seed) of the test scores over the seeds."""

    dataset: str
    model: str
    recipe: str
    features: str
    mean: LinkScores
    deviation: LinkScores
    published: LinkScores | None
    trials: list[Trial]

    @property
    def name(self) -> str:
        """Name of the method: ``"vgae, best"``."""
        return f"{self.model}, {self.recipe}"


def summarise(trials: Sequence[Trial], features: str) -> list[Summary]:
    """Return mean and deviation of the test scores over the seeds, per data set and method."""
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for trial in trials:
        key = trial.dataset, trial.data, trial.model, trial.settings or trial.recipe
        groups.setdefault(key, []).append(trial)
    summaries = []
    for (dataset, _, model, recipe), rows in groups.items():
        columns = list(zip(*(row.test for row in rows), strict=True))
        means = LinkScores(*map(mean, columns))
        deviation = LinkScores(*(stdev(c) if len(c) > 1 else 0.0 for c in columns))
        published = PUBLISHED.get((dataset, model, features))
        values = dataset, model, recipe, features, means, deviation, published, rows
        summaries.append(Summary(*values))
    return summaries


def compare(
    rows: Sequence[Summary], *, metric: Metric = "auc", test: PairedTest = "corrected-t"
) -> list[Comparison]:
    """Compare every pair of rows of one data set by a paired test, with Holm's correction.

    The splits of a table are drawn from the same links, one for each seed. Their training sets
    overlap, which ``"corrected-t"`` accounts for with the sizes of the parts, 10 % of the links
    for test and 85 % for training; see :func:`vgae.evaluation.paired.corrected_t`. Where all seeds
    have one given split, nothing but the initial weights and the noise differ: the result says
    nothing about other splits, and the test is the usual paired one.

    Args:
        rows: Rows of :func:`vgae.run_table`, of one table or of several.
        metric: ``"auc"`` or ``"ap"``, on the test links.
        test: ``"corrected-t"`` or ``"wilcoxon"``; see :mod:`vgae.evaluation.paired`.

    Raises:
        DataError: ``SPLITS_DIFFER`` if the rows have other splits than the first; as
            :func:`vgae.evaluation.paired.compare_scores`.
        UsageError: If ``metric`` or ``test`` is unknown.

    Example:
        >>> table = run_table("stdlib", "gae,vgae", recipes="paper", seeds=2)  # doctest: +SKIP
        >>> compare(table)[0].adjusted < 0.05  # doctest: +SKIP
        False
    """
    check_choice("metric", metric, Metric)
    splits: dict[str, dict[int, str]] = {}
    scores: dict[str, list[float]] = {}
    for row in rows:
        name = row.name
        if name in scores:
            rule = "each method must be in one row"
            raise UsageError("TABLE", f"{rule}, and {name} is in two; compare one data set.")
        trials = sorted(row.trials, key=lambda trial: trial.seed)
        splits[name] = {trial.seed: trial.split for trial in trials}
        scores[name] = [getattr(trial.test, metric) for trial in trials]
    for name, own in splits.items():
        first = next(iter(splits))
        if own != splits[first]:
            raise DataError(
                "SPLITS_DIFFER",
                f"{name} and {first} were scored on different splits, so that a paired test does"
                " not apply; train both in one table, with the same seeds and --split.",
            )
    has_one = all(len({*own.values()}) == 1 for own in splits.values())
    return compare_scores(scores, test=test, ratio=0.0 if has_one else _RATIO)


@dataclass(frozen=True, eq=False)
class Table(Sequence[Summary]):
    """Scores of several methods: a sequence of rows, with the protocol and paired tests.

    Attributes:
        rows: A :class:`Summary` for each data set and method.
        protocol: How the scores were made, as one paragraph.
        test: Paired test of its other forms; ``None`` for none.
    """

    rows: Sequence[Summary]
    protocol: str
    test: PairedTest | None = "corrected-t"

    def __post_init__(self) -> None:
        if self.test is not None:
            check_choice("test", self.test, PairedTest)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def by_dataset(self) -> list[list[Summary]]:
        """The rows of each data set."""
        groups: dict[tuple[str, str], list[Summary]] = {}
        for row in self.rows:
            groups.setdefault((row.dataset, row.trials[0].data), []).append(row)
        return list(groups.values())

    def comparisons(self) -> Iterator[tuple[list[Summary], Mapping[Metric, list[Comparison]]]]:
        """Yield the rows of each data set with several, and their comparisons by metric."""
        for rows in self.by_dataset:
            # An interrupted table has fewer seeds in the last row.
            seeds = {frozenset(trial.seed for trial in row.trials) for row in rows}
            if self.test is not None and len(rows) > 1 and len(seeds) == 1 < len(rows[0].trials):
                yield rows, {m: compare(rows, metric=m, test=self.test) for m in METRICS}

    @property
    def tests(self) -> str:
        """What the paired tests are, as a sentence; empty without any."""
        found = [rows for rows, _ in self.comparisons()]
        if not found or self.test is None:
            return ""
        pairs = ", ".join(str(len(rows) * (len(rows) - 1) // 2) for rows in found)
        text = f"p: {TITLES[self.test]}, two-sided, with Holm's correction for {pairs} pairs."
        splits = {trial.split for row in found[0] for trial in row.trials}
        if len(splits) == 1:
            return f"{text} All seeds have one split: p says nothing about other splits."
        if self.test == "wilcoxon" and len(splits) < 6:
            return f"{text} With {len(splits)} seeds it is at least {2 / 2 ** len(splits):.2g}."
        return text

    def columns(self) -> dict[str, list[Any]]:
        """Return the columns of the table, one value for each row, scores in [0, 1]."""
        best: dict[int, float] = {}
        for rows, found in self.comparisons():
            top = max(rows, key=lambda row: row.mean.auc)
            named = {frozenset((c.first, c.second)): c.adjusted for c in found["auc"]}
            best |= {id(row): named[frozenset((row.name, top.name))] for row in rows if row != top}
        return {
            "dataset": [row.dataset for row in self.rows],
            "model": [row.model for row in self.rows],
            "recipe": [row.recipe for row in self.rows],
            "features": [row.features for row in self.rows],
            "seeds": [len(row.trials) for row in self.rows],
            "auc": [row.mean.auc for row in self.rows],
            "auc_std": [row.deviation.auc for row in self.rows],
            "ap": [row.mean.ap for row in self.rows],
            "ap_std": [row.deviation.ap for row in self.rows],
            "p_best": [best.get(id(row)) for row in self.rows],
        }

    def to_pandas(self, *, trials: bool = False) -> "pandas.DataFrame":
        """Return the table as a data frame, or one row for each training.

        ``p_best`` is the corrected p-value of the difference to the row with the highest AUC.
        """
        frame = optional_module("pandas", "pandas").DataFrame
        if not trials:
            return frame(self.columns())
        rows = [(row, trial) for row in self.rows for trial in row.trials]
        kept = ("dataset", "model", "seed", "epochs", "best_epoch", "split")
        values: dict[str, list[Any]] = {k: [getattr(t, k) for _, t in rows] for k in kept}
        values["recipe"] = [row.recipe for row, _ in rows]
        for metric in METRICS:
            values[metric] = [getattr(trial.test, metric) for _, trial in rows]
            values[f"val_{metric}"] = [t.val and getattr(t.val, metric) for _, t in rows]
        return frame(values)

    def to_latex(self, *, caption: str | None = None, label: str = "tab:links") -> str:
        """Return the table for LaTeX with booktabs; the best scores are bold.

        Args:
            caption: Caption, in LaTeX; by default the protocol.
            label: Name for references.
        """
        return table_text.latex(self, caption, label)

    def to_markdown(self) -> str:
        """Return the table and the protocol in Markdown; the best scores are bold."""
        return table_text.markdown(self)

    def to_csv(self) -> str:
        """Return the columns of the table as CSV."""
        return "".join(csv_lines(self.columns()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to a file: ``.tex``, ``.md``, or ``.csv`` and the like.

        Raises:
            UsageError: ``EXPORT_FORMAT`` for another suffix.
        """
        path = Path(path)
        suffix = checked_suffix(path, SUFFIXES)
        if suffix in (".tex", ".md"):
            table_text.write(path, self.to_latex() if suffix == ".tex" else self.to_markdown())
        else:
            write_table(path, self.columns())

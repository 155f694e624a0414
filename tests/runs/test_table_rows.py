import math

import pytest

from vgae import compare
from vgae.errors import DataError, UsageError
from vgae.evaluation.metrics import LinkScores
from vgae.evaluation.paired import compare_scores
from vgae.runs.table_rows import PUBLISHED, Table, summarise
from vgae.runs.trials import Trial


def trial(auc, ap=0.7, dataset="cora", *, seed=0, recipe="paper", model="vgae", split=""):
    scores = LinkScores(auc, ap)
    values = dataset, model, seed, recipe, scores, scores, 5, 5, 0.1, dataset
    return Trial(*values, split or f"split {seed}", recipe)


def table_of(scores, **options):
    """Return the table of methods whose AUCs are given, one for each seed."""
    trials = [
        trial(auc, auc - 0.1, model=model, seed=seed)
        for model, values in scores.items()
        for seed, auc in enumerate(values)
    ]
    return Table(summarise(trials, "raw"), "How.", **options)


SCORES = {"a": [0.9, 0.91, 0.95], "b": [0.8, 0.83, 0.84], "c": [0.9, 0.9, 0.96]}


def test_mean_and_deviation_worked_by_hand():
    (summary,) = summarise([trial(0.8), trial(0.9), trial(1.0)], "raw")
    assert summary.mean == pytest.approx((0.9, 0.7))
    assert summary.deviation == pytest.approx((0.1, 0.0))
    assert summary.published == LinkScores(0.914, 0.926)


def test_one_seed_has_no_deviation_and_an_unknown_data_set_nothing_published():
    summary, other = summarise([trial(0.8, dataset="mine"), trial(0.9, 0.9)], "raw")
    assert other.published == LinkScores(0.914, 0.926)
    assert summary.deviation == (0, 0)
    assert summary.published is None


def test_published_figures_are_table_1_of_the_paper():
    assert PUBLISHED["citeseer", "vgae", "raw"] == LinkScores(0.908, 0.920)
    assert PUBLISHED["pubmed", "gae", "none"] == LinkScores(0.822, 0.874)
    assert len(PUBLISHED) == 12


def test_recipes_are_rows_of_their_own():
    rows = summarise([trial(0.8), trial(0.9, recipe="best"), trial(0.7, seed=1)], "raw")
    assert [row.name for row in rows] == ["vgae, paper", "vgae, best"]
    assert [len(row.trials) for row in rows] == [2, 1]


def test_rows_are_compared_on_their_splits_whatever_the_order_of_the_seeds():
    table = table_of(SCORES)
    named = {f"{name}, paper": values for name, values in SCORES.items()}
    assert compare(table) == compare_scores(named, ratio=0.1 / 0.85)
    shuffled = [row._replace(trials=row.trials[::-1]) for row in table]
    assert compare(shuffled, test="wilcoxon") == compare_scores(named, test="wilcoxon")
    assert compare(table, metric="ap")[0].difference == pytest.approx(0.29 / 3)


def test_one_split_for_all_seeds_is_not_corrected_for_overlap():
    trials = [
        trial(auc, model=m, seed=k, split="one")
        for m in "ab"
        for k, auc in enumerate([0.8, 0.9, 0.7 + 0.1 * (m == "a")])
    ]
    rows = summarise(trials, "raw")
    values = {row.name: [t.test.auc for t in row.trials] for row in rows}
    assert compare(rows) == compare_scores(values, ratio=0)


@pytest.mark.row("R39")
def test_other_splits_are_refused_in_one_line():
    one = summarise([trial(0.8, seed=k) for k in (0, 1)], "raw")
    two = summarise([trial(0.8, seed=k, model="gae") for k in (0, 2)], "raw")
    with pytest.raises(DataError, match="gae, paper and vgae, paper were scored on different"):
        compare([*one, *two])
    with pytest.raises(UsageError, match="vgae, paper is in two"):
        compare([*one, *one])
    with pytest.raises(UsageError, match="'auc', 'ap', got 'f1'"):
        compare(one, metric="f1")


def test_the_frame_has_a_row_for_each_method_or_training():
    pandas = pytest.importorskip("pandas")
    table = table_of(SCORES)
    frame = table.to_pandas()
    assert list(frame.auc) == [row.mean.auc for row in table]
    assert list(frame.p_best.isna()) == [True, False, False]  # a and c have equal means
    found = {frozenset((c.first, c.second)): c.adjusted for c in compare(table)}
    assert frame.p_best[1] == found[frozenset(("a, paper", "b, paper"))]
    trials = table.to_pandas(trials=True)
    assert isinstance(trials, pandas.DataFrame)
    assert list(trials.groupby("model").auc.mean()) == pytest.approx(list(frame.auc))


def test_a_table_that_is_not_complete_or_has_one_seed_has_no_tests():
    whole = table_of(SCORES)
    assert "3 pairs" in whole.tests
    partial = Table([whole[0], whole[1]._replace(trials=whole[1].trials[:2])], "How.")
    for table in (partial, table_of({"a": [0.9], "b": [0.8]}), table_of(SCORES, test=None)):
        assert table.tests == ""
        assert table.columns()["p_best"] == [None] * len(table)
    assert "it is at least 0.25" in table_of(SCORES, test="wilcoxon").tests
    with pytest.raises(UsageError, match="'corrected-t', 'wilcoxon'"):
        table_of(SCORES, test="t")


def test_it_is_saved_in_the_form_that_the_suffix_names(tmp_path):
    table = table_of(SCORES)
    for name in ("t.tex", "t.md", "t.csv"):
        table.save(tmp_path / name)
    assert (tmp_path / "t.tex").read_text() == table.to_latex()
    assert (tmp_path / "t.md").read_text() == table.to_markdown()
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0].startswith("dataset,model,recipe,features,seeds,auc,auc_std")
    assert math.isclose(float(lines[1].split(",")[5]), table[0].mean.auc)
    with pytest.raises(UsageError, match=r"must end in one of .tex, .md, .csv"):
        table.save(tmp_path / "t.docx")

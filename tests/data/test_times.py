"""Times are numbers or dates, and links are split by them."""

from datetime import date

import numpy as np
import pytest

from vgae.data.files import read_graph
from vgae.data.splits import split_by_time
from vgae.data.times import parsed_times, times_of
from vgae.errors import DataError, UsageError


def parsed(*texts):
    return parsed_times(enumerate(texts), "row")


def test_whole_numbers_keep_all_their_digits():
    """Nanoseconds since 1970 have more digits than a float."""
    times = parsed("1717171717171717171", "1717171717171717172")
    assert times.dtype == np.int64
    assert times[0] < times[1]
    assert parsed("1", "2.5", "-3e2").tolist() == [1, 2.5, -300]


def test_dates_are_ordered_in_any_zone():
    times = parsed("2024-05-31", "2024-05-31T01:00:00+02:00", "2024-05-31T00:00:00.5Z")
    assert times.argsort().tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("x",), "row 0: a time must be a finite number or a date of ISO 8601, got 'x'"),
        (("1", "inf"), "row 1: a time must be .*got 'inf'"),
        (("1", "2024-05-31"), "row 1: a time must be a number as those before"),
        (("2024-05-31", "20240"), "row 1: a time must be a date as those before"),
    ],
)
def test_other_text_is_refused(texts, words):
    with pytest.raises(DataError, match=words):
        parsed(*texts)


def test_columns_of_parquet():
    pa = pytest.importorskip("pyarrow")
    table = pa.table(
        {
            "whole": [3, 1],
            "date": [date(2024, 5, 31), date(2023, 5, 31)],
            "text": ["2024-05-31", "2023-05-31"],
            "gap": [1, None],
            "nan": [1.0, float("nan")],
            "truth": [True, False],
        }
    )
    for name in ("whole", "date", "text"):
        assert times_of(table, name).argsort().tolist() == [1, 0]
    for name, words in (("gap", "lacks 1 times"), ("nan", "not finite"), ("truth", "got 'True'")):
        with pytest.raises(DataError, match=f"column '{name}'.* {words}"):
            times_of(table, name)


@pytest.mark.parametrize(
    ("head", "values", "words"),
    [
        ("a,b,when\n", (1_400_000_000, 1_400_000_007), "column 'when', 1400000000 to 1400000007"),
        ("", (1_400_000_000, 1_400_000_007), "the third column, 1400000000 to 1400000007"),
        ("a,b,Year\n", (1999, 2024), "column 'Year', 1999 to 2024"),
        ("a,b,weight\n", (1999, 2024), None),
        ("", (1999, 2024), "the third column, 1999 to 2024"),
        ("a,b,year\n", (1999.5, 2024), "column 'year', 1999.5 to 2024"),
        ("a,b,amount\n", (1999.5, 2024), None),
        ("a,b,weight\n", (3, 1_400_000_000), None),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_times_are_no_weights_and_told(head, values, words, suffix, tmp_path, caplog):
    path = tmp_path / f"g.{suffix}"
    if suffix == "csv":
        path.write_text(head + "".join(f"{k},{k + 1},{v}\n" for k, v in enumerate(values)))
    elif head:
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        names = head.strip().split(",")
        columns = dict(zip(names, ([1, 2], [2, 3], values), strict=True))
        pq.write_table(pa.table(columns), path)
    else:
        pytest.skip("columns of parquet have names")
    graph = read_graph(path)
    if words is None:
        assert not [record for record in caplog.records if record.levelname == "WARNING"]
        assert graph.link_weight.tolist() == list(values)
    else:
        assert f"{path}: {words}, is not read as weights: it " in caplog.text
        assert graph.link_weight is None
    caplog.clear()
    if "when" in head:
        read_graph(path, time="when")
        assert "is not read" not in caplog.text


# By time ----------------------------------------------------------------------------------------

TIMED = """from,to,when
a,b,5
b,c,3
c,a,9
a,d,1
b,a,7
d,e,9
e,a,2
d,d,99
c,e,4
"""


def by_time(path, column="when", **options):
    graph = read_graph(path, time=column)
    split = split_by_time(path, graph, column, **options)
    names = {
        name: [tuple(graph.ids[node] for node in pair) for pair in part.T.tolist()]
        for name, part in split._parts().items()
    }
    return graph, names


def test_the_last_links_are_test_and_those_before_them_validation(tmp_path):
    """A link counts at its first time, ties go by the order of the file."""
    (tmp_path / "g.csv").write_text(TIMED)
    graph, names = by_time(tmp_path / "g.csv", val=0.2, test=0.3)
    assert graph.link_weight is None
    assert (graph.num_links, graph.notes["self_loops"]) == (7, 1)
    assert names["test_pos"] == [("a", "c"), ("d", "e")]
    assert names["val_pos"] == [("a", "b")]
    assert sorted(names["train"]) == [("a", "d"), ("a", "e"), ("b", "c"), ("c", "e")]
    assert len(names["test_neg"]) == 2


def test_numbers_dates_and_parquet_give_the_same_order(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rows = [line.split(",") for line in TIMED.splitlines()[1:]]
    stamps = {
        "whole": [row[2] for row in rows],
        "real": [f"{row[2]}e-3" for row in rows],
        "date": [f"2024-05-{1 + int(row[2]) % 31:02}" for row in rows],
        "zoned": [f"2024-05-{1 + int(row[2]) % 31:02}T23:30:00+02:00" for row in rows],
    }
    _, expected = by_time_of(tmp_path / "whole.csv", rows, stamps["whole"])
    for name, times in stamps.items():
        assert by_time_of(tmp_path / f"{name}.csv", rows, times)[1] == expected
        table = {"source": [row[0] for row in rows], "target": [row[1] for row in rows]}
        pq.write_table(pa.table({**table, "when": times}), tmp_path / "g.parquet")
        assert by_time(tmp_path / "g.parquet", val=0.2, test=0.3)[1] == expected
    times = [date.fromisoformat(text) for text in stamps["date"]]
    pq.write_table(pa.table({**table, "when": times}), tmp_path / "g.parquet")
    assert by_time(tmp_path / "g.parquet", val=0.2, test=0.3)[1] == expected
    pq.write_table(
        pa.table({"u": table["source"], "v": table["target"], "when": range(9)}),
        tmp_path / "g.parquet",
    )
    assert by_time(tmp_path / "g.parquet", val=0.2, test=0.3)[0].link_weight is None


def by_time_of(path, rows, times):
    lines = [f"{when},{u},{v},0.5" for (u, v, _), when in zip(rows, times, strict=True)]
    path.write_text("\n".join(["when,u,v,weight", *lines]))
    return by_time(path, val=0.2, test=0.3)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (TIMED.replace("when", "date"), "TIME_COLUMN", "must have one column 'when'"),
        (TIMED.replace("from", "when"), "TIME_COLUMN", "must have one column 'when'"),
        (TIMED.replace("c,a,9", "c,a,soon"), "BAD_TIME", "line 4: a time must be a finite number"),
        (TIMED.replace("c,a,9", "c,a,2024-01-01"), "BAD_TIME", "line 4: a time must be a number"),
        (TIMED.replace("a,b,5", "a,b,nan"), "BAD_TIME", "line 2: .* a finite number or a date"),
        (TIMED.replace("a,b,5", "a,b,"), "BAD_TIME", "line 2: .* a finite number or a date"),
        (
            TIMED.replace("c,a,9", "c,a"),
            "FIELDS",
            "line 4: expected 3 fields separated by commas as in the header",
        ),
    ],
)
def test_what_is_no_time_is_refused_with_its_line(text, code, words, tmp_path):
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        by_time(tmp_path / "g.csv")
    assert caught.value.code == code
    assert str(caught.value).startswith(str(tmp_path / "g.csv"))


def test_fractions_are_those_of_split_links(tmp_path):
    (tmp_path / "g.csv").write_text(TIMED)
    with pytest.raises(DataError, match="less than one"):
        by_time(tmp_path / "g.csv")
    with pytest.raises(UsageError, match="fraction of the links"):
        by_time(tmp_path / "g.csv", val=1.5)

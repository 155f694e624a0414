"""Tables of mixed columns: fitted once, stored, and used for a later table."""

import json

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from vgae.errors import ArtifactError, DataError, UsageError
from vgae.graphs.encoding import TableEncoder, encode_table, not_numbers

CITIES = ["Bern", "Ulm", "Graz"]
PEOPLE = {
    "age": ["" if k % 7 == 0 else str(20 + k % 30) for k in range(40)],
    "city": ["Rom" if k == 5 else CITIES[k % 3] for k in range(40)],
    "joined": [f"2020-{k % 12 + 1:02}-{k % 28 + 1:02}" for k in range(40)],
    "member": ["yes" if k % 2 else "no" for k in range(40)],
    "notes": [f"likes tea and number {k}" for k in range(40)],
    "employee": [str(7000 + 13 * k) for k in range(40)],
    "country": ["CH"] * 40,
}


@pytest.fixture
def fitted():
    return encode_table(PEOPLE, {"notes": "hash", "employee": "drop"})


def test_a_table_of_people_becomes_numbers(fitted, caplog):
    names = fitted.feature_names
    assert names[:8] == (
        *("age", "age=missing", "city=Bern", "city=Graz", "city=Ulm", "city=other"),
        *("joined", "member"),
    )
    assert names[8:] == tuple(f"notes#{k}" for k in range(64))
    assert (fitted.x.shape, fitted.x.dtype) == ((40, 72), np.float32)
    by_name = dict(zip(names, fitted.x.T, strict=True))
    assert by_name["age=missing"].sum() == 6
    assert not by_name["age"][by_name["age=missing"] == 1].any()
    np.testing.assert_allclose(by_name["joined"].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(by_name["joined"].std(), 1, atol=1e-6)
    assert by_name["city=other"].nonzero()[0].tolist() == [5]
    assert by_name["member"].tolist() == [0, 1] * 20


def test_the_encoder_of_json_encodes_bit_for_bit(fitted):
    again = TableEncoder.from_dict(json.loads(json.dumps(fitted.encoder.to_dict())))
    assert again == fitted.encoder
    for encode in (again, again.to_dict()):
        other_order = dict(reversed(PEOPLE.items()))
        assert encode_table(other_order, encode).x.tobytes() == fitted.x.tobytes()


def test_the_table_of_the_next_month_is_encoded_alike(fitted, caplog):
    later = {name: cells[:3] for name, cells in PEOPLE.items() if name != "employee"}
    later |= {"city": ["Genf", "", "Bern"], "member": ["", "no", "yes"], "new": ["1", "2", "3"]}
    x = encode_table(later, fitted.encoder).x
    place = fitted.feature_names.index
    np.testing.assert_array_equal(x[:, place("age")], fitted.x[:3, place("age")])
    assert x[:, place("city=other")].tolist() == [1, 0, 0]
    assert x[1, place("city=Bern") : place("city=other") + 1].tolist() == [0, 0, 0, 0]
    for words in (
        "does not have: 'new'",
        "such as 'Genf': city=other",
        "'member': 1 missing cells, which had none before, count as no",
    ):
        assert words in caplog.text


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"age": None, "city": None}, "FEATURE_NAMES", "lacks 'age', 'city', which the encoder"),
        (
            {"age": ["old"] * 40, "member": ["perhaps"] * 40},
            "FEATURE_DTYPE",
            "'age' must be a number, got 'old' in row 1; 'member' must be a boolean, got 'perhap",
        ),
        ({"age": ["1"]}, "FEATURE_SHAPE", r"equally long, with rows, got \[1, 40\]"),
    ],
)
def test_a_later_table_that_cannot_be_encoded_is_refused(fitted, change, code, words):
    table = {k: v for k, v in {**PEOPLE, **change}.items() if v is not None}
    with pytest.raises(DataError, match=words) as caught:
        encode_table(table, fitted.encoder)
    assert caught.value.code == code


def test_all_columns_without_a_kind_are_refused_at_once_and_the_remedy_works():
    table = {**PEOPLE, "mail": [f"m{k}@b.ch" for k in range(40)], "when": ["01/02/2020"] * 39}
    table["when"] = [*table["when"], "03/04/2020"]
    with pytest.raises(DataError) as caught:
        encode_table(table, {"employee": "drop"})
    message = str(caught.value)
    assert caught.value.code == "FEATURE_DTYPE"
    remedy = {"employee": "drop", "notes": "hash", "mail": "drop", "when": "date-dmy"}
    assert f"encode={remedy} (--encode employee=drop --encode notes=hash " in message
    assert "\n" not in message
    assert "when" in encode_table(table, remedy).feature_names


@pytest.mark.parametrize(
    ("encode", "words"),
    [
        ({"nots": "hash"}, "no column 'nots'; did you mean 'notes'"),
        ({"notes": "hashed"}, "no kind 'hashed'; did you mean 'hash'"),
        ({"notes": 3}, "no kind 3; there are 'number'"),
        ("none", "must be 'auto', kinds"),
        (7, "must be 'auto', kinds"),
    ],
)
def test_an_encoding_that_does_not_exist_is_refused(encode, words):
    with pytest.raises(UsageError, match=words) as caught:
        encode_table(PEOPLE, encode)
    assert caught.value.code == "ENCODE"


@pytest.mark.parametrize(
    ("table", "kinds", "code", "words"),
    [
        ({"a": ["1", "1"]}, {}, "FEATURE_SHAPE", "no column is left"),
        ({"a": []}, {}, "FEATURE_SHAPE", "with rows"),
        ({"a": ["1e300", "-1e300", "0"]}, {}, "FEATURE_NONFINITE", "'a' are too large"),
        ({"a": ["1", "x"]}, {"a": "date"}, "FEATURE_DTYPE", "'a' is no date: '1' in row 1"),
        (
            {"a": [str(k // 2) for k in range(200_002)]},
            {"a": "category"},
            "FEATURE_SHAPE",
            "100001 features, more than 100000; .*--encode a=hash",
        ),
    ],
)
def test_a_table_that_cannot_be_fitted_is_refused(table, kinds, code, words):
    with pytest.raises(DataError, match=words) as caught:
        encode_table(table, kinds or "auto")
    assert caught.value.code == code


def test_a_wide_table_is_sparse():
    table = {f"c{k}": ["a", "b", "a", "b"] for k in range(200)}
    x = encode_table(table, "auto").x
    assert sp.issparse(x)
    assert (x.shape, x.dtype, x.nnz) == ((4, 400), np.float32, 800)


def damaged(**column):
    content = TableEncoder.fit({"a": ["x", "x", "y", "y"]}).to_dict()
    content["columns"][0] |= column
    return content


@pytest.mark.parametrize(
    "content",
    [
        *([], None, 1, "x", {}, {"format": "vgae-table-1"}),
        {"format": "vgae-table-2", "columns": damaged()["columns"]},
        {"format": "vgae-table-1", "columns": []},
        {"format": "vgae-table-1", "columns": [{"name": "a"}]},
        {"format": "vgae-table-1", "columns": damaged()["columns"] * 2},
        damaged(kind="pickle"),
        damaged(kind=["category"]),
        damaged(kind="drop"),
        damaged(scale=0.0),
        damaged(scale=True),
        damaged(mean="0"),
        damaged(mean=10**400),
        damaged(other=1),
        damaged(name=3),
        damaged(categories=["x", "x"]),
        damaged(categories=[1]),
        damaged(categories=5),
        damaged(more=1),
    ],
    ids=lambda content: str(content)[:40],
)
def test_what_is_no_encoder_is_refused(content):
    with pytest.raises(ArtifactError) as caught:
        TableEncoder.from_dict(content)
    assert caught.value.code == "ENCODER_CORRUPT"


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.lists(
            st.sampled_from(["1", "2", "x", "yes", "", "a b", "2020-01-01"]),
            min_size=8,
            max_size=8,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_table_is_numbers_or_one_error_and_any_encoder_is_restored(table):
    try:
        found = encode_table(table, "auto")
    except DataError:
        return
    assert np.isfinite(found.x).all()
    assert found.x.shape == (8, len(found.feature_names))
    again = TableEncoder.from_dict(json.loads(json.dumps(found.encoder.to_dict())))
    assert again.transform(table).tobytes() == found.x.tobytes()


def test_columns_that_are_not_numbers_are_listed_with_the_option_that_encodes_them():
    error = not_numbers({"city": "'Bern' in line 2"}, {"city": ["a", "b"] * 4})
    assert str(error).startswith("each feature must be a number: 'city' is 'Bern' in line 2; ")
    assert "encode='auto' (--encode auto)" in str(error)
    many = {f"c{k}": "'x' in line 2" for k in range(12)}
    notes = {"notes": [f"likes tea {k}" for k in range(40)]}
    assert "and 2 more columns; encode={'notes': 'hash'}" in str(not_numbers(many, notes))

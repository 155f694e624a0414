"""Each row of the catalogue of bad input has a test or a reason, and its page is current."""

import importlib.util
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
spec = importlib.util.spec_from_file_location("catalogue", TESTS / "catalogue.py")
catalogue = importlib.util.module_from_spec(spec)
spec.loader.exec_module(catalogue)
ROWS = catalogue.rows()


def test_the_rows_are_numbered_without_gaps():
    sizes = {"G": 62, "F": 19, "L": 61, "C": 23, "R": 41}
    expected = [f"{letter}{k:02}" for letter, size in sizes.items() for k in range(1, size + 1)]
    assert [row.id for row in ROWS] == expected


@pytest.mark.parametrize("row", ROWS, ids=[f"row {row.id}" for row in ROWS])
def test_each_row_has_a_test_or_a_reason(row):
    assert row.tests or row.not_applicable


def test_no_test_bears_the_id_of_a_row_that_there_is_not():
    assert catalogue.tests_by_row().keys() <= {row.id for row in ROWS}


def test_the_page_is_current():
    """Else run python tests/catalogue.py."""
    assert catalogue.PAGE.read_text(encoding="utf-8") == catalogue.page(ROWS)


def test_ids_are_read_from_markers_parameters_lists_and_dictionaries():
    source = """
NAMED = {"C01": 1, "C02": 2}
LISTED = [pytest.param(1, id="L05-one"), pytest.param(2, id=f"L06-{x}")]

@pytest.mark.row("G01", "F02")
@pytest.mark.parametrize("a", [pytest.param("G030", id="G11 blank"), pytest.param("A G12")])
@pytest.mark.parametrize("b", LISTED)
@pytest.mark.parametrize("c", NAMED.values(), ids=NAMED)
def test_a(a, b, c): "G31"
"""
    tree = catalogue.ast.parse(source)
    named = {"NAMED": tree.body[0].value, "LISTED": tree.body[1].value}
    ids = catalogue._ids(tree.body[2].decorator_list, named)
    assert ids == {"G01", "F02", "G11", "L05", "L06", "C01", "C02"}

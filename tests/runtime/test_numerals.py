"""Numbers in text are those in ASCII."""

import pytest

from vgae.runtime.numerals import is_integer, is_number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("1", True), ("-1.5e-3", True), ("nan", True), (" 1", True), ("1_0", False)],
        *[("١", False), ("", False), ("1,5", False), ("0x1", False), ("one", False)],
    ],
)
def test_numbers_are_written_in_ascii(text, expected):
    assert is_number(text) == expected


def test_only_canonical_integers_of_64_bits_are_integers():
    texts = ["0", "-7", "9223372036854775807", "9223372036854775808", "007", "-0", "1.0", "1_0"]
    assert [is_integer(text) for text in texts] == [True] * 3 + [False] * 5

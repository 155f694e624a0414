"""The separator is the one that splits all lines into the same number of fields."""

import pytest

from vgae.data.separators import Fit, detected


def numbered(text):
    return list(enumerate(text.splitlines(keepends=True), 1))


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("1,2,4,2020-01-05 10:00\n2,3,1,2020-01-06 11:30\n", ","),
        ("a b,c\nd,e f\n", ","),
        ("a b c\nd e f,g\n", " "),
        ("a,b;c\nd;e\n", ";"),
        ("a|b c|1,5\n", "|"),
        ("a b 1,5\nb c 2,5\n", " "),
        ("from to w\na b 1,5\nb c 2\n", " "),
        ("a,b\t c\nd\te,f\n", "\t"),
        ("4 2\na,b\nc,d\n", ","),
        ("a;b,c;1,5\nd,e;f;2,5\n", ";"),
        ("a b\n# one, two, three\nc d\n", " "),
        ('"a,b" c\n"d,e,f" g\n', " "),
        ("a,b\nc,d\ne\n", ","),
        ("a\nb\n", "\t"),
    ],
)
def test_the_separator_is_detected(text, separator, tmp_path):
    assert detected(numbered(text), tmp_path, "#%") == separator


@pytest.mark.parametrize(
    ("text", "trailing", "widths"),
    [
        ("a,b,\nc,d,\n", 1, [2, 2]),
        ("source,target\na,b,,\nc,d,,\n", 2, [2, 2, 2]),
        ("source,target,weight\na,b,\nc,d,\n", 0, [3, 3, 3]),
        ("a,b,\nc,d,1\n", 0, [3, 3]),
        ("a,b,1\nc,d,\n", 0, [3, 3]),
        ("a,b\nc,d\n", 0, [2, 2]),
    ],
)
def test_separators_at_the_end_of_each_line_are_dropped(text, trailing, widths, tmp_path):
    fit = Fit(numbered(text), ",", tmp_path, "#%")
    assert (fit.trailing, fit.widths) == (trailing, widths)


def test_lines_like_comments_count_if_they_have_the_width_of_the_others(tmp_path):
    fit = Fit(numbered("a,b\n#c,d\n# e\n"), ",", tmp_path, "#%")
    assert fit.fields == [["a", "b"], ["#c", "d"]]
    assert (fit.even, fit.width) == (True, 2)

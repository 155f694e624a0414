"""Comments before the data are counted, and those of SNAP and KONECT understood."""

import pytest

from vgae.data.preambles import comment_signs, read_preamble
from vgae.data.reading import Reading
from vgae.errors import DataError


def preamble_of(text, tmp_path, signs="#%"):
    lines = enumerate(text.splitlines(keepends=True), 1)
    found, rest = read_preamble(iter(lines), signs, tmp_path / "g.txt")
    return found, [line for _, line in rest]


@pytest.mark.parametrize(
    ("text", "stated", "two_sided", "unweighted"),
    [
        ("# Directed graph: x\n# Nodes: 4 Edges: 1,005\n", "directed edges, 1,005 edges", 0, 0),
        ("# Undirected graph\n", "undirected edges", 0, 0),
        ("% asym unweighted\n% 12 4 5\n", "directed edges, 12 edges", 0, 1),
        ("% sym weighted\n", "undirected edges", 0, 0),
        ("% bip positive\n% 7 3 4 \n", "two sides, 7 edges", 1, 0),
        ("# by hand\n% 3 4 5\n", "", 0, 0),
        ("", "", 0, 0),
    ],
)
def test_headers_of_collections(text, stated, two_sided, unweighted, tmp_path):
    found, rest = preamble_of(text + "1 2\n", tmp_path)
    assert found.stated == stated
    assert (found.two_sided, found.unweighted) == (bool(two_sided), bool(unweighted))
    assert found.comments == text.count("\n")
    assert rest == ["1 2\n"]


def test_blank_lines_and_the_line_of_the_separator_are_passed_over(tmp_path):
    found, rest = preamble_of("\nsep=;\n\n# x\n\na;b\n# later\n", tmp_path)
    assert (found.separator, found.comments) == (";", 1)
    assert rest == ["a;b\n", "# later\n"]
    assert found.names(5) == "x"
    assert found.names(6) is None


def test_the_sign_of_comments_is_an_option(tmp_path):
    assert comment_signs(Reading()) == "#%"
    assert comment_signs(Reading(comment="none")) == ""
    assert preamble_of("#a b\n", tmp_path, "")[1] == ["#a b\n"]
    assert preamble_of("!x\n#a b\n", tmp_path, comment_signs(Reading(comment="!")))[1] == [
        "#a b\n"
    ]


def test_comments_do_not_go_on_without_end(tmp_path):
    lines = ((number, "#\n") for number in range(1, 2_000_000))
    with pytest.raises(DataError, match="line 1000001: 1000000 lines before it") as caught:
        read_preamble(lines, "#", tmp_path)
    assert caught.value.code == "BLANK_LINES"

from vgae.runs.defaults import TEST, VAL
from vgae.runs.graphs import GraphSource


def test_the_command_and_the_library_have_the_same_defaults(command):
    source = GraphSource("stdlib")
    assert (source.val, source.test) == (VAL, TEST)
    _, out, _ = command("train", "--help")
    words = " ".join(out.split())  # lines are as wide as the terminal
    assert f"for validation. [default: {VAL}]" in words
    assert f"for test. [default: {TEST}]" in words

from vgae.graphs.defaults import TEST_FRACTION, VAL_FRACTION
from vgae.runs.graphs import GraphSource


def test_the_command_and_the_library_have_the_same_defaults(command):
    source = GraphSource("stdlib")
    assert (source.val, source.test) == (VAL_FRACTION, TEST_FRACTION)
    _, out, _ = command("train", "--help")
    words = " ".join(out.split())  # lines are as wide as the terminal
    assert f"for validation. [default: {VAL_FRACTION}]" in words
    assert f"for test. [default: {TEST_FRACTION}]" in words

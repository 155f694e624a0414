from vgae.runtime.text import columns


def test_columns_are_aligned_and_numbers_to_the_right():
    assert columns([["a", "1"], ["bcd", "100"]], right=[1]) == "a      1\nbcd  100"
    assert columns([["a", "1"], ["bcd", ""]]) == "a    1\nbcd"

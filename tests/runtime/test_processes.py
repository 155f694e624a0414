"""Processes that train together: shares, and one process alone."""

import torch

from vgae.runtime.processes import ALONE, Team, sharers, sharing, team


def test_shares_cover_everything_once():
    for size in (1, 2, 3, 7):
        shares = [Team(rank, size).share(10) for rank in range(size)]
        assert [n for share in shares for n in share] == list(range(10))


def test_one_process_is_alone():
    assert team() is ALONE
    total = torch.ones(2)
    ALONE.sum_([total])
    assert (total.tolist(), ALONE.most(3), ALONE.agreed({"a": 1})) == ([1, 1], 3, {"a": 1})
    assert ALONE.from_first(b"x") == b"x"


def test_sums_are_divided_within_the_block_only():
    us = Team(1, 2)
    with sharing(us):
        assert sharers() is us
    assert sharers() is ALONE

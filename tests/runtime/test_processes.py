"""Processes that train together: shares, and one process alone."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.distributed import HashStore

from vgae.runtime import processes
from vgae.runtime.processes import ALONE, Team, _of_this_start, sharers, sharing, team


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


def collectives():
    us = team()
    parts = [torch.full((2,), 1.0 + us.rank), torch.arange(6.0).view(2, 3).t() * us.rank]
    whole = torch.tensor([us.rank, 1])
    us.sum_([*parts, whole])
    first = us.from_first(b"first" if us.leads else b"other")
    assert us.from_first(b"") == b""
    assert us.of_all("é" * us.rank) == ["", "é", "éé"]
    return [*parts, whole], us.most(us.rank), first, us.agreed([us.rank])


def test_processes_add_and_agree(together):
    for tensors, most, first, agreed in together(3, collectives):
        assert tensors[0].tolist() == [6.0, 6.0]
        assert tensors[1].equal(torch.arange(6.0).view(2, 3).t() * 3)
        assert tensors[2].tolist() == [3, 3]
        assert (most, first, agreed) == (2, b"first", [0])


def late():
    """Have the second process come when the first one has said that it waits."""
    us, store = team(), torch.distributed.distributed_c10d._get_default_store()
    told = logging.Handler()
    told.emit = lambda record: store.set("told", record.getMessage())
    processes.log.addHandler(told)
    processes._WAIT = 0.1
    if not us.leads:
        store.wait(["told"])
    us.of_all(us.rank)
    with processes.alone():
        return store.get("told").decode(), team().size


def test_a_process_that_waits_for_the_others_says_what_to_do(together):
    for told, size in together(2, late):
        assert told.startswith("waiting for the others of 2 processes")
        assert "vgae.runtime.processes.alone()" in told
        assert size == 1


def test_processes_that_are_started_again_do_not_read_what_others_left():
    store, found = HashStore(), []
    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            # The first process comes last: the others read its name of the start before.
            started = [pool.submit(_of_this_start, store, rank, 3) for rank in (2, 1, 0)]
            parts = [start.result(timeout=20) for start in started]
            assert not any(part.check(["note"]) for part in parts)
            parts[1].set("note", str(len(found)))
            assert {part.get("note") for part in parts} == {str(len(found)).encode()}
            found.append(parts)


def failing():
    if team().rank == 1:
        raise ValueError("in one of them")
    team().most(1)


def test_an_exception_in_one_process_is_raised_with_its_traceback(together):
    with pytest.raises(ValueError, match="in one of them") as caught:
        together(2, failing)
    assert "in process 1" in str(caught.value.__cause__)
    assert "line" in str(caught.value.__cause__)

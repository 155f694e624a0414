"""Who tells an error that ends several processes, and which process is lost."""

import json
import subprocess
import sys

import psutil
import pytest
import torch

from vgae.runtime import watch
from vgae.runtime.watch import Watch


@pytest.fixture
def watches(monkeypatch):
    """Watches of three processes with one store, whose threads do not run."""
    monkeypatch.setattr(watch, "_LED", 0.0)
    monkeypatch.setattr(watch, "_QUIET", 1)
    store = torch.distributed.HashStore()
    return [Watch(store, rank, 3) for rank in range(3)]


def meet(watches, processes):
    """Let all see the processes of others, given as (pid, start)."""
    for rank, (pid, started) in enumerate(processes):
        who = json.dumps([watch._machine(), pid, started])
        watches[0].store.set(f"vgae/who/{rank}", who)
        watches[0].store.set(f"vgae/beat/{rank}", "1")
    for one in watches:
        for other in one._others:
            one._see(other)


def ended():
    process = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(process.pid).create_time()
    process.wait()
    return process.pid, started


def test_the_first_error_is_told_once_and_ends_all(watches):
    note, mine = watches[1].settled("OUT_OF_MEMORY", "too little.", 5)
    assert mine
    assert note[1:] == ("OUT_OF_MEMORY", "process 1 of 3: too little.", 5)
    assert watches[1].settled("OUT_OF_MEMORY", "again.", 5) == (note, False)
    assert watches[0].settled("RANK_LOST", "the connection broke.", 5) == (note, False)
    assert watches[2].settled("MODEL", "another.", 2) == (note, False)


def test_an_error_of_the_first_process_is_that_of_all(watches):
    note, mine = watches[0].settled("NO_EDGES", "there are none.", 3)
    assert (note.what, mine) == ("there are none.", True)
    assert watches[1].settled("NO_EDGES", "there are none.", 3) == (note, False)


@pytest.mark.parametrize("code", ["RANK_LOST", "INTERRUPTED"])
def test_a_process_that_is_gone_explains_what_follows(code, watches):
    me = psutil.Process()
    here = (me.pid, me.create_time())
    meet(watches, [here, here, ended()])
    note, mine = watches[0].settled(code, "SIGTERM ended it", 143)
    assert (note.code, note.status, mine) == ("RANK_LOST", 5, True)
    assert note.what.startswith("process 2 of 3 is gone: it was killed")
    assert watches[1].settled(code, "SIGTERM ended it", 143) == (note, False)


def test_a_process_that_is_there_is_not_lost(watches):
    me = psutil.Process()
    meet(watches, [(me.pid, me.create_time())] * 3)
    assert watches[0]._lost(1) is None
    assert watches[0].settled("INTERRUPTED", "SIGTERM ended it", 143)[0].code == "INTERRUPTED"


def test_a_process_of_another_machine_is_lost_by_its_silence(watches):
    watches[0].store.set("vgae/who/1", json.dumps(["another", 1, 0.0]))
    watches[0].store.set("vgae/beat/1", "1")
    watches[0]._see(1)
    watches[0]._silent[1] = 30
    assert "process 1 of 3 has been silent for 30 s" in watches[0]._lost(22).what
    watches[0]._silent[-1] = 20  # while the store is silent, nobody can be heard
    assert watches[0]._lost(22) is None

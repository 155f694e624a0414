import logging
from dataclasses import replace

import pytest
import torch

from vgae.errors import ArtifactError, ResourceError, UsageError
from vgae.graphs.split import split_links
from vgae.recipes import PAPER
from vgae.runs.trials import TableSettings, Task, Worker, in_this_process, trial_threads
from vgae.runtime.devices import Compute

SHORT = TableSettings(recipes=replace(PAPER, epochs=5))


@pytest.fixture
def task(sbm_file):
    return Task.of((str(sbm_file), SHORT.open(str(sbm_file))), "gae", "paper", 3)


@pytest.fixture
def worker():
    """What a worker process has, in this process."""
    logger, threads = logging.getLogger("vgae"), torch.get_num_threads()
    level = logger.level
    yield Worker(SHORT, jobs=2, threads=1, num_bytes=10**10, level=logging.INFO)
    logger.setLevel(level)
    torch.set_num_threads(threads)


def test_the_threads_of_a_training_do_not_depend_on_the_number_of_jobs(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert [trial_threads(jobs) for jobs in (None, 1, 2, 64)] == [7, 1, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert [trial_threads(jobs) for jobs in (None, 1, 2)] == [7, 7, 7]
    with pytest.raises(UsageError, match="jobs must be at least 1, got 0"):
        trial_threads(0)


def test_a_training_in_this_process_leaves_its_threads(task, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(3)
    opened = {task.source: SHORT.open(task.source)}
    in_this_process(
        SHORT,
        [task],
        1,
        opened,
        on_trial=lambda _, trial: seen.append((torch.get_num_threads(), trial.seed)),
        on_wait=seen.append,
    )
    assert seen == [[task], (1, 3)]
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


def test_a_worker_trains_as_this_process_and_returns_its_messages(task, worker, caplog):
    opened = SHORT.open(task.source)
    here = []
    in_this_process(
        SHORT,
        [task],
        1,
        {task.source: opened},
        on_trial=lambda _, trial: here.append(trial),
        on_wait=str,
    )
    trial, messages = worker(1, task)
    assert trial._replace(seconds=0) == here[0]._replace(seconds=0)
    assert trial.split == split_links(opened.graph, seed=3).digest
    name, level, text = messages[0]
    assert (name, level) == ("vgae.training.links", logging.INFO)
    assert text.startswith("pairs exact")


def test_a_graph_that_changes_meanwhile_is_refused(task, worker):
    with pytest.raises(ArtifactError, match="has changed since the table was begun") as error:
        worker(0, task._replace(data="other"))
    assert error.value.code == "DATA_CHANGED"


def test_the_memory_is_that_of_all_workers(task, worker):
    with pytest.raises(
        ResourceError, match=r"^sbm gae, paper, seed 3: .*; or use fewer jobs \(--jobs\)"
    ):
        replace(worker, num_bytes=1)(0, task)
    limited = replace(SHORT, device=Compute(max_bytes=2 * 10**6))
    with pytest.raises(ResourceError, match=r"and 1 MB may be used on cpu"):
        replace(worker, settings=limited)(0, task)


@pytest.mark.row("R38")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seeds": 0}, "at least 1 seed .seeds, --seeds., got 0"),
        ({"seeds": True}, "must be a number, or the seeds themselves"),
        ({"seeds": "3"}, "must be a number, or the seeds themselves, such as 1,5,9, got '3'"),
        ({"seeds": [1, 1]}, "one or more, all different"),
        ({"seeds": []}, "one or more, all different"),
        ({"seeds": [0.5]}, "seed must be"),
        ({"recipes": ()}, "names that all differ, got none"),
        ({"recipes": ("paper", PAPER)}, "names that all differ, got paper, paper"),
        ({"recipes": "papre"}, "Did you mean paper"),
        ({"recipes": [3]}, "recipes must be of vgae.recipes, got 3"),
    ],
)
def test_seeds_and_recipes_are_checked(given, message):
    with pytest.raises(UsageError, match=message):
        TableSettings(**given)

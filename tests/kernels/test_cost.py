import pytest
import torch

from vgae.kernels import EXACT_SECONDS, choose_pairs, pairs_cost


def test_exact_pairs_cost_the_square_of_the_nodes_and_memory_in_proportion_to_them():
    small, large = (pairs_cost(n, 16) for n in (100_000, 200_000))
    assert large.num_pairs == 200_000**2
    assert large.seconds == pytest.approx(4 * small.seconds)
    fixed = 2 * small.num_bytes - large.num_bytes
    assert 0 < fixed < 120e6


def test_sampled_pairs_cost_in_proportion_to_the_nodes():
    small, large = (pairs_cost(n, 16, pairs="sampled") for n in (100_000, 200_000))
    assert large.num_pairs == 2 * small.num_pairs == 200_000 * 32
    assert large.seconds == pytest.approx(2 * small.seconds)


def test_a_small_graph_draws_no_more_than_half_its_nodes_per_node():
    assert pairs_cost(10, 16, pairs="sampled", pairs_per_node=32).num_pairs == 50


def test_the_choice_follows_the_prediction_and_nothing_else():
    for num_nodes in (1000, 20_000, 40_000, 60_000, 200_000):
        within = pairs_cost(num_nodes, 16).seconds <= EXACT_SECONDS
        assert choose_pairs(num_nodes, 16, "cpu") == ("exact" if within else "sampled")
    assert choose_pairs(2708, 16, "cpu") == "exact"
    assert choose_pairs(1_000_000, 16, "cpu") == "sampled"


def test_the_dense_reference_is_known_to_need_the_matrix():
    assert pairs_cost(10_000, 16, impl="dense").num_bytes > 4 * 10_000**2


def test_more_threads_are_predicted_to_take_less_time():
    before = torch.get_num_threads()
    seconds = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            seconds.append(pairs_cost(20_000, 16).seconds)
    finally:
        torch.set_num_threads(before)
    assert seconds[0] == pytest.approx(2 * seconds[1])

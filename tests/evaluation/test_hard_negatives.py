"""hard_negatives: its laws, and a plain loop over nodes that ranks the same way."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.metrics.pairwise import cosine_similarity

from vgae.data.named import load_dataset
from vgae.errors import DataError, UsageError
from vgae.evaluation.hard_negatives import Hard, _Heuristics, _rank_rows, hard_negatives
from vgae.graphs.arrays import feature_tensor
from vgae.graphs.graph import Graph
from vgae.graphs.grid import DirectedGrid, Grid, TwoSidedGrid
from vgae.graphs.split import split_links


def drawn(graph, split, *, seed=0, x=None, **options):
    options = {"per_link": 20, **options}
    generator = torch.Generator().manual_seed(seed)
    return hard_negatives(
        graph.links,
        split.test.pos,
        split.train,
        x,
        graph.num_nodes,
        generator=generator,
        **options,
    )


def ends_of(pairs, held_out):
    """Yield each end of a link with the nodes that were put in place of the other."""
    half = pairs.shape[2] // 2
    for p, (u, v) in enumerate(held_out.T.tolist()):
        assert set(pairs[0, p, :half].tolist()) == {u}
        assert set(pairs[1, p, half:].tolist()) == {v}
        yield u, pairs[1, p, :half].tolist()
        yield v, pairs[0, p, half:].tolist()


def naive_scores(split, x):
    """Dense matrices of the heuristics: networkx, a linear system, sklearn."""
    n = split.num_nodes
    net = nx.empty_graph(n)
    net.add_edges_from(split.train.T.tolist())
    ra = np.zeros((n, n))
    every = [(u, v) for v in range(n) for u in range(v)]
    for u, v, score in nx.resource_allocation_index(net, every):
        ra[u, v] = ra[v, u] = score
    adj = nx.to_numpy_array(net, nodelist=range(n))
    walk = adj / np.maximum(adj.sum(axis=1, keepdims=True), 1)
    ppr = 0.15 * np.linalg.inv(np.eye(n) - 0.85 * walk)
    return [ra, ppr] if x is None else [ra, ppr, cosine_similarity(x.double())]


def naive_ranks(rows, candidates):
    """Rank of each candidate, the lowest of its ranks by each row of scores."""
    lowest = {}
    for row in rows:
        # Ties that differ by rounding are ties.
        score = {w: round(float(row[w]), 9) for w in candidates}
        positive = [s for s in score.values() if s > 0]
        rank = {
            w: 1 + sum(s <= t < max(positive) for t in positive) for w, s in score.items() if s > 0
        }
        behind = len(row)
        for w in candidates:
            lowest[w] = min(lowest.get(w, np.inf), rank.get(w, behind))
    for w in candidates:
        if all(row[w] <= 0 for row in rows):
            lowest[w] = np.inf
    return lowest


@pytest.fixture(scope="module")
def split(sbm):
    return split_links(sbm, val=0.1, test=0.2)


@pytest.mark.parametrize("features", ["none", "dense", "sparse"])
@pytest.mark.parametrize("per_link", [2, 20, 120])
def test_negatives_are_no_links_no_self_pairs_and_keep_one_end(sbm, split, features, per_link):
    x = {"none": None, "dense": sbm.x, "sparse": feature_tensor(sp.csr_array(sbm.x.numpy()))}
    pairs = drawn(sbm, split, x=x[features], per_link=per_link)
    assert pairs.shape == (2, split.test.pos.shape[1], per_link)
    assert pairs.dtype == torch.int64
    links = {frozenset(pair) for pair in sbm.links.T.tolist()}
    for end, others in ends_of(pairs, split.test.pos):
        assert len(set(others)) == per_link // 2
        assert not any(w == end or frozenset((end, w)) in links for w in others)


@pytest.mark.parametrize("features", [False, True])
def test_chosen_are_those_a_plain_loop_ranks_first(sbm, split, features):
    x = sbm.x if features else None
    scores = naive_scores(split, x)
    known = {frozenset(pair) for pair in sbm.links.T.tolist()}
    for end, others in ends_of(drawn(sbm, split, x=x), split.test.pos):
        candidates = [w for w in range(120) if w != end and frozenset((end, w)) not in known]
        lowest = naive_ranks([matrix[end] for matrix in scores], candidates)
        # Sets may differ where ranks tie, the ranks may not.
        assert [lowest[w] for w in others] == sorted(lowest.values())[:10]


def test_a_star_and_its_neighbour_worked_by_hand():
    """Train 0-1, 0-2, 0-3, 3-4; 1-5 is held out, and node 5 has no training link.

    For 1, of the candidates 2, 3, 4, 6: RA is 1/3, 1/3, 0, 0, so the ranks are 1, 1, 2, 2.
    PageRank puts 3 (two links) before 2 (one) before 4, ranks 1, 2, 3. The lower of both are
    1, 1, 2 for 2, 3, 4; node 6, zero by both, comes last.
    """
    train = torch.tensor([[0, 0, 0, 3], [1, 2, 3, 4]])
    held_out = torch.tensor([[1], [5]])
    links = torch.cat([train, held_out], dim=1)
    pairs = hard_negatives(
        links, held_out, train, None, 7, per_link=8, generator=torch.Generator()
    )
    assert set(pairs[1, 0, :2].tolist()) == {2, 3}
    assert pairs[1, 0, 2:4].tolist() == [4, 6]
    assert set(pairs[0, 0, 4:].tolist()) < {0, 2, 3, 4, 6}  # by no heuristic: any


def test_the_rule_of_heart_worked_by_hand():
    """Train 0-1, 0-2, 0-3, 3-4; 1-5 and 1-6 are held out, and 5, 6, 7 have no training link.

    Candidates for 1 in 1-5 are 2, 3, 4, 6, 7. Common neighbours by degree are 1, 1/2, 0, 0, 0, so
    the ranks are 1, 2, 3, 3, 3. PageRank puts 3 before 2 before 4, ranks 2, 1, 3, 4, 4. The lower
    of both are 1, 1, 3, 3, 3: the three others are as likely, the held-out 6 among them.
    """
    train = torch.tensor([[0, 0, 0, 3], [1, 2, 3, 4]])
    held_out, generator = torch.tensor([[1, 1], [5, 6]]), torch.Generator().manual_seed(0)
    third = set()
    for _ in range(30):
        pairs = hard_negatives(
            *(train, held_out, train, None, 8),
            per_link=6,
            generator=generator,
            rule="heart",
        )
        for p, partner in enumerate((5, 6)):
            assert set(pairs[1, p, :2].tolist()) == {2, 3}
            assert partner not in pairs[1, p].tolist()[:3]
        third.add(int(pairs[1, 0, 2]))
    assert third == {4, 6, 7}


def test_in_the_rule_of_heart_zeros_follow_scores_and_negative_scores_zeros():
    scores = torch.tensor([[0.5, 0.5, 0.2, 0.0, -1.0], [0.0, 0.0, 0.0, -1.0, -1.0]])
    assert _rank_rows(scores, heart=True).tolist() == [[1, 1, 2, 3, 4], [1, 1, 1, 2, 2]]
    assert _rank_rows(scores, heart=False).tolist() == [[1, 1, 2, 5, 5], [5, 5, 5, 5, 5]]


def test_the_rule_of_heart_needs_candidates_besides_the_link_itself(generator):
    links = torch.tensor([[0, 0, 0, 1], [1, 2, 3, 2]])  # 0 has only 4 and 5 left, and 1
    options = {"generator": generator, "rule": "heart"}
    arguments = (links[:, 1:], links[:, :1], links[:, 1:], None, 6)
    assert hard_negatives(*arguments, per_link=4, **options).shape == (2, 1, 4)
    with pytest.raises(DataError, match="at most 4 are possible"):
        hard_negatives(*arguments, per_link=6, **options)
    with pytest.raises(UsageError, match="rule must be one of 'positive', 'heart'"):
        hard_negatives(*arguments, per_link=4, generator=generator, rule="hart")


def test_the_rule_of_heart_has_the_ranks_of_its_files(data_home):
    """Of each end that occurs for the first time: its similarities are overwritten there then.

    Which nodes of equal rank are chosen is arbitrary, so ranks are compared.
    """
    folder = data_home / "heart" / "citeseer"
    if not folder.is_dir():
        pytest.skip("VGAE_DATA has no heart/citeseer")
    graph = load_dataset("citeseer")
    train, held_out = (
        torch.from_numpy(np.loadtxt(folder / f"{name}_pos.txt", dtype=np.int64).T)
        for name in ("train", "valid")
    )
    train = train[:, train[0] != train[1]]
    stored = torch.from_numpy(np.load(folder / "heart_valid_samples.npy"))
    ends = held_out.T.flatten()
    first = np.sort(np.unique(ends, return_index=True)[1])
    partners = held_out.flip(0).T.flatten()[first]
    # Of each link, 250 pairs keep the first node, then 250 the second.
    others = torch.stack([stored[:, :250, 1], stored[:, 250:, 0]], dim=1).flatten(0, 1)[first]
    heuristics = _Heuristics(train, graph.x, Grid(graph.num_nodes), "heart")
    excluded, nodes = Grid(graph.num_nodes).known(train), ends[first]
    ranks = heuristics.ranks(nodes, excluded, torch.arange(len(nodes)), partners)
    lowest = ranks.sort(dim=1).values[:, :250]
    found = ranks.gather(1, others).sort(dim=1).values
    assert len(first) > 400
    assert (found == lowest).double().mean() > 0.9998
    strict = ranks < lowest[:, -1:]
    assert strict.sum() > 25 * len(first)
    assert strict.gather(1, others).sum() > 0.999 * strict.sum()


@pytest.mark.parametrize(
    ("hard", "meant"),
    [
        *((0, (0, "positive")), (500, (500, "positive")), ("20", (20, "positive"))),
        *(("heart", (500, "heart")), ("heart:100", (100, "heart"))),
    ],
)
def test_number_and_rule_of_hard_non_links(hard, meant):
    assert Hard.of(hard) == meant


@pytest.mark.parametrize(
    "hard", [3, -2, 2.5, "hart", "heart:", "heart:3", "heart:0", "a:4", ":4", ""]
)
def test_another_number_of_hard_non_links_is_refused(hard):
    with pytest.raises(UsageError, match="heart or heart:100 for HeaRT's rule, got") as caught:
        Hard.of(hard)
    assert caught.value.code == "HARD"


def test_same_seed_same_pairs_whatever_the_block(sbm, split, monkeypatch):
    first = drawn(sbm, split, x=sbm.x)
    for max_entries in (1, 1000, 5001):
        monkeypatch.setattr("vgae.evaluation.hard_negatives._BLOCK", max_entries)
        assert torch.equal(drawn(sbm, split, x=sbm.x), first)
    assert not torch.equal(drawn(sbm, split, x=sbm.x, seed=1), first)


def test_sparse_and_dense_features_give_the_same_pairs(sbm, split):
    sparse = feature_tensor(sp.csr_array(sbm.x.numpy()))
    assert torch.equal(drawn(sbm, split, x=sparse), drawn(sbm, split, x=sbm.x))


@pytest.mark.parametrize("heuristic", [0, 1, 2], ids=["RA", "PPR", "cosine"])
def test_chosen_score_higher_than_random_non_links(sbm, split, heuristic):
    matrix = naive_scores(split, sbm.x)[heuristic]
    u, v = drawn(sbm, split, x=sbm.x).flatten(1).numpy()
    random_u, random_v = split.test.neg.numpy()
    assert matrix[u, v].mean() > 1.5 * matrix[random_u, random_v].mean()


def test_equal_ranks_are_drawn_evenly_over_the_nodes():
    """Ends without training links: every other node is as likely."""
    n, held_out = 40, torch.tensor([[0], [1]])
    train, generator = torch.tensor([[2], [3]]), torch.Generator().manual_seed(0)
    links = torch.cat([held_out, train], dim=1)
    counts = np.zeros(n)
    for _ in range(400):
        pairs = hard_negatives(links, held_out, train, None, n, per_link=4, generator=generator)
        np.add.at(counts, pairs[1, 0, :2].numpy(), 1)
    assert counts[:2].sum() == 0
    # 800 draws over 38 nodes: 21 each, standard deviation 4.5.
    assert counts[2:].min() > 21 - 4 * 4.5
    assert counts[2:].max() < 21 + 4 * 4.5


def test_the_link_itself_is_left_out_even_where_the_graph_lacks_it(split):
    pairs = drawn(Graph.from_edges(split.train, num_nodes=120), split, per_link=200)
    for p, (u, v) in enumerate(split.test.pos.T.tolist()):
        assert (u, v) not in set(zip(*pairs[:, p].tolist(), strict=True))


def test_too_few_candidates_are_refused_with_the_most_that_works():
    links = torch.tensor([[0, 0, 0, 1], [1, 2, 3, 2]])  # 0 has only 4 and 5 left
    held_out, train = links[:, :1], links[:, 1:]
    arguments = (links, held_out, train, None, 6)
    with pytest.raises(DataError, match="at most 4 are possible") as caught:
        hard_negatives(*arguments, per_link=6, generator=torch.Generator())
    assert caught.value.code == "NO_NEGATIVES"
    assert hard_negatives(*arguments, per_link=4, generator=torch.Generator()).shape == (2, 1, 4)
    with pytest.raises(DataError, match="no per_link is possible"):
        hard_negatives(*arguments[:-1], 4, per_link=2, generator=torch.Generator())


@pytest.mark.parametrize("per_link", [0, 7, -2])
def test_per_link_must_be_even_and_positive(sbm, split, per_link):
    with pytest.raises(UsageError, match="even and positive") as caught:
        drawn(sbm, split, per_link=per_link)
    assert caught.value.code == "PER_LINK"


def test_features_of_other_nodes_are_refused(sbm, split):
    with pytest.raises(DataError, match=r"shape \(120, F\), got \(119, 40\)"):
        drawn(sbm, split, x=sbm.x[1:])


def test_without_held_out_links_there_are_no_negatives(sbm):
    nothing = torch.empty(2, 0, dtype=torch.int64)
    pairs = hard_negatives(
        sbm.links, nothing, sbm.links, None, 120, per_link=8, generator=torch.Generator()
    )
    assert pairs.shape == (2, 0, 8)


def drawn_links(kind, generator, n=40, count=90):
    sides = torch.rand(n, generator=generator) < 0.6
    grid = TwoSidedGrid(sides) if kind == "two-sided" else DirectedGrid(n)
    links = grid.pairs(torch.randperm(grid.num_pairs, generator=generator)[:count])
    return grid, links[:, :20], links[:, 20:]


@pytest.mark.parametrize("kind", ["two-sided", "directed"])
def test_negatives_are_pairs_of_the_grid_and_no_links(kind, generator):
    grid, held_out, train = drawn_links(kind, generator)
    every = torch.cat([held_out, train], dim=1)
    pairs = hard_negatives(
        every, held_out, train, None, 40, per_link=10, generator=generator, grid=grid
    )
    flat = pairs.flatten(1)
    assert bool(grid.holds(flat).all())
    assert not torch.isin(grid.numbers(flat), grid.numbers(every)).any()
    for _ in ends_of(pairs, held_out):
        pass
    if kind == "two-sided":
        assert not grid.sides[flat[0]].any()
        for _, others in ends_of(pairs, held_out):
            assert len(set(others)) == 5


def test_the_reverse_of_a_link_is_among_the_hardest(generator):
    links = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8]])
    train, held_out = links[:, 1:], torch.tensor([[2], [9]])
    pairs = hard_negatives(
        links, held_out, train, None, 10, per_link=4, generator=generator, grid=DirectedGrid(10)
    )
    # 1 -> 2 is a link and 2 -> 1 is none; 2 and 4 have a common neighbour.
    assert set(pairs[1, 0, :2].tolist()) == {1, 4}


def test_three_paths_replace_common_neighbours_across(generator):
    grid, _, train = drawn_links("two-sided", generator)
    dense = np.zeros((40, 40))
    dense[train[0], train[1]] = dense[train[1], train[0]] = 1
    scale = np.diag(np.maximum(dense.sum(1), 1) ** -0.5)
    found = _Heuristics(train, None, grid).three_paths(np.arange(40))
    assert found == pytest.approx(dense @ scale @ dense @ scale @ dense)


def test_a_side_with_too_few_nodes_is_refused():
    grid = TwoSidedGrid(torch.tensor([False] * 6 + [True] * 3))
    link, none = torch.tensor([[0], [6]]), torch.empty(2, 0, dtype=torch.int64)
    generator, options = torch.Generator(), {"grid": grid}
    with pytest.raises(DataError, match="only 2 nodes it is not linked to; at most 4"):
        hard_negatives(link, link, none, None, 9, per_link=6, generator=generator, **options)
    found = hard_negatives(link, link, none, None, 9, per_link=4, generator=generator, **options)
    assert set(found[1, 0, :2].tolist()) == {7, 8}

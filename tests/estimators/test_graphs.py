import pickle
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, get_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils import estimator_checks as checks

from vgae.encoders import GCNEncoder
from vgae.errors import DataError, UsageError
from vgae.estimators import LinkPredictor, VGAEEmbedder
from vgae.evaluation.links import PairScorer, calibrate
from vgae.graphs.graph import Graph
from vgae.graphs.split import split_links
from vgae.models.embedding import embed
from vgae.prediction.links import predict_links
from vgae.recipes import PAPER
from vgae.training.links import fit

SMALL = {"recipe": "paper", "n_components": 4, "max_epochs": 5, "device": "cpu", "random_state": 0}


@pytest.fixture(scope="module")
def X(sbm):
    return sbm.x.numpy()


@pytest.fixture(scope="module")
def A(sbm):
    return sbm.to_scipy()


@pytest.fixture(scope="module")
def fitted(X, A):
    return VGAEEmbedder(**SMALL).fit(X, graph=A)


@pytest.fixture(scope="module")
def predictor(sbm):
    embedder = VGAEEmbedder(**{**SMALL, "max_epochs": 60})
    return LinkPredictor(embedder, validation_fraction=0.2, random_state=1).fit(sbm)


@pytest.fixture(scope="module")
def pairs(sbm):
    rng = np.random.default_rng(0)
    numbers = [rng.choice(120, 2, replace=False) for _ in range(300)]
    return np.array(sbm.node_ids)[numbers]


# Some checks have features of about 100, and expect that no estimator minds.
SCALED = VGAEEmbedder(max_epochs=2, device="cpu", settings={"scale_features": True})


EXCEPTIONS = {
    "check_methods_subset_invariance": "a row is linked to its nearest among the rows given",
}
# Equal but for the rounding of float32 sums, and on some processors exactly.
ROUNDED = "check_methods_sample_order_invariance"


@checks.parametrize_with_checks([SCALED], expected_failed_checks=lambda _: EXCEPTIONS)
def test_it_keeps_the_conventions_of_scikit_learn(estimator, check):
    if check.func.__name__ == ROUNDED:
        order_changes_nothing_but_rounding(estimator)
    else:
        check(estimator)


def order_changes_nothing_but_rounding(estimator):
    x = np.random.default_rng(0).normal(size=(60, 4))
    order = np.random.default_rng(1).permutation(len(x))
    embedder = clone(estimator).set_params(random_state=0).fit(x)
    found = embedder.transform(x[order])
    np.testing.assert_allclose(found, embedder.transform(x)[order], rtol=1e-4, atol=1e-5)


# The others predict for rows like those that they fit, or want labels to be learned from.
CHECKS_WITHOUT_PAIRS = """
    estimator_cloneable estimator_tags_renamed valid_tag_types estimator_repr mixin_order
    no_attributes_set_in_init do_not_raise_errors_in_init_or_set_params
    parameters_default_constructible get_params_invariance set_params
    estimators_unfitted estimators_fit_returns_self estimators_overwrite_params
    dont_overwrite_parameters readonly_memmap_input complex_data estimators_empty_data_messages
"""


@pytest.mark.parametrize("name", CHECKS_WITHOUT_PAIRS.split())
def test_a_link_predictor_keeps_those_that_need_no_pairs(name):
    check = getattr(checks, f"check_{name}")
    check("LinkPredictor", LinkPredictor(SCALED, validation_fraction=0.2))


@pytest.mark.parametrize(
    ("settings", "fraction", "held_out"),
    [
        ({}, 0.2, 0),  # no epoch is chosen, so nothing is held out for it
        ({"keep": "best"}, 0.2, 0.2),
        ({"patience": 1}, 0.2, 0.2),
        ({"keep": "best"}, 0.001, 0),
    ],
)
def test_it_is_fit_with_the_seed_and_what_chooses_the_epoch_held_out(
    sbm, settings, fraction, held_out
):
    recipe = replace(PAPER, latent_channels=4, epochs=5, **settings)
    split = split_links(sbm, val=held_out, test=0, seed=0)
    result = fit(sbm, split, recipe=recipe, device="cpu", progress=False)
    embedder = VGAEEmbedder(**SMALL, settings=settings, validation_fraction=fraction).fit(sbm)
    assert embedder.history_ == result.history
    assert (embedder.n_iter_, embedder.seed_, embedder.recipe_) == (5, 0, recipe)
    np.testing.assert_array_equal(embedder.embedding_, embed(result, sbm).mu)


@pytest.mark.parametrize("kind", ["graph", "scipy", "networkx", "pyg", "edges", "X", "pyg X"])
def test_any_kind_of_graph_is_the_same_graph(sbm, X, A, fitted, kind):
    embedder = VGAEEmbedder(**SMALL)
    others = replace(sbm, x=sbm.x + 1)  # its features give way to X
    features, graph = {
        "graph": (X, others),
        "scipy": (X, A),
        "networkx": (X, sbm.to_networkx()),
        "pyg": (X, others.to_pyg()),
        "edges": (X, sbm.links.numpy()),
        "X": (sbm, None),
        "pyg X": (sbm.to_pyg(), None),
    }[kind]
    np.testing.assert_array_equal(embedder.fit_transform(features, graph=graph), fitted.embedding_)
    assert embedder.n_features_in_ == 40
    np.testing.assert_array_equal(embedder.transform(features, graph=graph), fitted.embedding_)


def test_sparse_features_are_the_same_features(X, A, fitted):
    sparse = VGAEEmbedder(**SMALL).fit(sp.csc_matrix(X), graph=A)
    assert sparse.graph_.x.layout == torch.sparse_csr
    np.testing.assert_allclose(sparse.embedding_, fitted.embedding_, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(sparse.transform(X), fitted.embedding_, rtol=1e-3, atol=1e-5)


def test_rows_are_in_the_order_of_the_nodes_of_networkx():
    import networkx as nx

    graph = nx.Graph([("z", "a"), ("a", "m"), ("m", "b")])
    embedder = VGAEEmbedder(**SMALL).fit(np.eye(4)[[2, 0, 1, 3]], graph=graph)
    assert embedder.graph_.node_ids == ("z", "a", "m", "b")
    np.testing.assert_array_equal(embedder.graph_.x, np.eye(4)[[2, 0, 1, 3]])


def test_a_graph_without_features_knows_its_own_nodes_only(sbm):
    embedder = VGAEEmbedder(**SMALL).fit(sbm.to_networkx())
    assert embedder.n_features_in_ == 0
    np.testing.assert_array_equal(embedder.transform(sbm.without_features()), embedder.embedding_)
    with pytest.raises(DataError, match="embeds no others"):
        embedder.transform(Graph.from_edges([[0], [1]]))
    with pytest.raises(ValueError, match="X has 40 features, but VGAEEmbedder is expecting 0"):
        embedder.transform(sbm.x)


@pytest.mark.parametrize(("num_rows", "n_neighbors"), [(30, 3), (4, 10)])
def test_without_a_graph_rows_are_linked_to_their_nearest(num_rows, n_neighbors):
    X = np.random.default_rng(0).normal(size=(num_rows, 3))
    embedder = VGAEEmbedder(**SMALL, n_neighbors=n_neighbors).fit(X)
    distance = np.linalg.norm(X[:, None] - X, axis=2)
    nearest = distance.argsort(axis=1)[:, 1 : n_neighbors + 1]
    expected = {(min(u, v), max(u, v)) for u in range(num_rows) for v in nearest[u]}
    assert {tuple(link) for link in embedder.graph_.links.T.tolist()} == expected
    np.testing.assert_array_equal(embedder.transform(X), embedder.embedding_)
    assert embedder.transform(X[:1]).shape == (1, 4)


def test_rows_in_another_order_are_embedded_in_that_order():
    X = np.random.default_rng(0).normal(size=(30, 3))
    embedder = VGAEEmbedder(**SMALL).fit(X)
    np.testing.assert_allclose(embedder.transform(X[::-1]), embedder.embedding_[::-1], rtol=1e-4)


def test_new_nodes_are_embedded_by_the_encoder_over_all_their_links(sbm, X, A, fitted):
    part = np.arange(0, 120, 2)
    new = Graph.from_scipy(A[part][:, part], x=X[part])
    expected = embed(fitted.model_, new).mu
    np.testing.assert_array_equal(fitted.transform(X[part], graph=A[part][:, part]), expected)
    np.testing.assert_array_equal(fitted.transform(new), expected)


def test_after_a_fit_with_a_graph_only_the_same_rows_need_none(X, fitted):
    np.testing.assert_array_equal(fitted.transform(X.tolist()), fitted.embedding_)
    np.testing.assert_array_equal(fitted.transform(sp.csr_array(X)), fitted.embedding_)
    for others in (X[:60], X + 1):
        with pytest.raises(UsageError, match="other rows need their own graph"):
            fitted.transform(others)


def test_in_a_pipeline_the_graph_goes_past_the_scaler(X, A, fitted):
    pipeline = make_pipeline(MaxAbsScaler(), VGAEEmbedder(**SMALL))
    z = pipeline.fit_transform(7 * X, vgaeembedder__graph=A)
    np.testing.assert_allclose(z, fitted.embedding_, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(pipeline.transform(7 * X), z)


def test_a_graph_is_routed_where_it_is_requested(X, A, fitted):
    with sklearn.config_context(enable_metadata_routing=True):
        embedder = VGAEEmbedder(**SMALL).set_fit_request(graph=True)
        pipeline = make_pipeline(MaxAbsScaler(), embedder.set_transform_request(graph=True))
        np.testing.assert_array_equal(pipeline.fit_transform(X, graph=A), fitted.embedding_)
        half = pipeline.transform(X[:60], graph=A[:60, :60])
    np.testing.assert_array_equal(half, fitted.transform(X[:60], graph=A[:60, :60]))


def test_columns_are_named_after_the_class(X, A, fitted):
    pytest.importorskip("pandas")
    frame = clone(fitted).set_output(transform="pandas").fit_transform(X, graph=A)
    assert list(frame.columns) == [f"vgaeembedder{k}" for k in range(4)]
    np.testing.assert_array_equal(frame, fitted.embedding_)


def test_names_of_features_are_those_of_the_columns(X, A):
    pandas = pytest.importorskip("pandas")
    names = [f"word{k}" for k in range(40)]
    frame = pandas.DataFrame(X, columns=names)
    embedder = VGAEEmbedder(**SMALL).fit(frame, graph=A)
    assert embedder.graph_.feature_names == embedder.model_.encoder.feature_names == tuple(names)
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        embedder.transform(frame[names[::-1]], graph=A)
    turned = Graph.from_scipy(A, x=X)
    with pytest.raises(DataError, match="column 0 of the features"):
        embedder.transform(replace(turned, feature_names=tuple(names[::-1])))
    named = VGAEEmbedder(**SMALL).fit(embedder.graph_)
    assert named.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(named.transform(frame), embedder.embedding_)
    assert not hasattr(named.fit(turned), "feature_names_in_")


def test_an_integer_repeats_the_weights_and_a_random_state_goes_on(sbm, fitted):
    embedder = clone(fitted)
    np.testing.assert_array_equal(embedder.fit_transform(sbm), fitted.embedding_)
    embedder.set_params(random_state=np.random.RandomState(0))
    seeds = [embedder.fit(sbm).seed_ for _ in range(2)]
    assert seeds == np.random.RandomState(0).randint(2**31 - 1, size=2).tolist()


def test_a_pickle_infers_the_same_and_a_clone_nothing(X, pairs, fitted, predictor):
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(restored.transform(X), fitted.embedding_)
    restored = pickle.loads(pickle.dumps(predictor))
    np.testing.assert_array_equal(restored.predict(pairs), predictor.predict(pairs))
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "model_")


def test_what_is_set_stays_where_the_recipe_is_meant_for_another_graph(sbm):
    """Without features ``best`` has no dropout of the hidden layer."""
    options = {"recipe": "best", "max_epochs": np.int64(1), "device": "cpu"}
    graph = sbm.without_features()
    assert VGAEEmbedder(**options).fit(graph).recipe_.dropout == 0
    embedder = VGAEEmbedder(**options, settings={"dropout": np.float32(0.5), "epochs": 9})
    recipe = embedder.fit(graph).recipe_
    assert (recipe.name, recipe.dropout, recipe.epochs) == ("best-links", 0.5, 1)


@pytest.mark.row("R21")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipe": "nothing"}, "no recipe 'nothing'; there are paper"),
        ({"model": "vae"}, "no model 'vae'; there are vgae"),
        ({"settings": {"chosen": ()}}, "'chosen' is no field of a recipe; they are name"),
        ({"n_components": 0}, "latent_channels must lie in"),
        ({"n_components": "8"}, "n_components must be an integer or None, got '8'"),
        ({"n_components": True}, "n_components must be an integer or None, got True"),
        ({"max_epochs": 2.5}, "max_epochs must be an integer or None"),
        ({"learning_rate": "fast"}, "learning_rate must be a number or None"),
        ({"n_neighbors": "5"}, "n_neighbors must be an integer, got '5'"),
        ({"validation_fraction": "0.1"}, "validation_fraction must be a number"),
        ({"random_state": "x"}, "random_state must be an integer or a RandomState or None"),
        ({"settings": 3}, "settings must be a dictionary or None, got 3"),
        ({"device": 3}, "device must be a string or a Compute, got 3"),
        ({"recipe": []}, "recipe must be a string"),
        ({"model": GCNEncoder}, "model must be a name or a vgae.VAE, got the class GCNEncoder"),
        ({"validation_fraction": 1.0}, r"validation_fraction must lie in \[0, 1\), got 1.0"),
    ],
)
def test_parameters_that_make_no_sense_are_errors(sbm, changes, words):
    with pytest.raises(UsageError, match=words):
        VGAEEmbedder(**{**SMALL, **changes}).fit(sbm)


@pytest.mark.parametrize(
    ("features", "graph", "code"),
    [
        (np.ones((3, 2)), sp.eye_array(4), "NODE_SET_MISMATCH"),
        (np.ones((3, 2)), [[0, 1], [1, 3]], "INDEX_RANGE"),
        (np.ones((3, 2)), sp.eye_array(3), "NO_EDGES"),
        (Graph.from_edges([[0], [1]]), sp.eye_array(2), "GRAPH"),
    ],
)
def test_graphs_that_do_not_fit_are_errors(features, graph, code):
    with pytest.raises((DataError, UsageError)) as caught:
        VGAEEmbedder(**SMALL).fit(features, graph=graph)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "options", [{"goal": "precision=0.2"}, {"calibration": "platt", "prior": "balanced"}]
)
def test_a_predictor_holds_links_out_and_calibrates_on_them(sbm, pairs, options):
    embedder = VGAEEmbedder(**SMALL, settings={"keep": "best"}, validation_fraction=0.5)
    model = LinkPredictor(embedder, validation_fraction=0.2, random_state=1, **options).fit(sbm)
    split = split_links(sbm, val=0.2, test=0, seed=1)
    recipe = replace(PAPER, latent_channels=4, epochs=5, keep="best")
    result = fit(sbm, split, recipe=recipe, device="cpu", progress=False)
    options = {("method" if k == "calibration" else k): v for k, v in options.items()}
    assert model.calibration_ == calibrate(result.model, sbm, split, **options)
    np.testing.assert_array_equal(model.embedder_.embedding_, embed(result, sbm).mu)

    numbers = torch.from_numpy(np.char.partition(pairs, "-")[..., 2].astype(int)).T
    logits = PairScorer(result.model, sbm, sbm.edge_index).logits(numbers)
    np.testing.assert_allclose(model.decision_function(pairs), logits, rtol=1e-6)
    probability = model.calibration_.probability(logits).numpy()
    expected = np.stack([1 - probability, probability], axis=1)
    np.testing.assert_allclose(model.predict_proba(pairs), expected)
    assert model.threshold_ == model.calibration_.threshold
    np.testing.assert_array_equal(model.predict(pairs), probability >= model.threshold_)


def test_a_predictor_is_scored_on_pairs_as_a_classifier(sbm, pairs, predictor):
    linked = sbm.to_networkx().has_edge
    labels = np.array([linked(u, v) for u, v in pairs]).astype(int)
    auc = roc_auc_score(labels, predictor.decision_function(pairs))
    assert auc > 0.8
    assert get_scorer("roc_auc")(predictor, pairs, labels) == auc
    assert predictor.score(pairs, labels) == accuracy_score(labels, predictor.predict(pairs))
    assert set(predictor.predict(pairs)) == {0, 1}


def test_probabilities_of_random_pairs_are_those_of_the_density(sbm, predictor):
    """Among all pairs a tenth are links; at even odds, a third would seem to be."""
    u, v = np.triu_indices(sbm.num_nodes, k=1)
    names = np.array(sbm.node_ids)
    pairs = np.stack([names[u], names[v]], axis=1)
    assert predictor.calibration_.method == "spline"
    assert predictor.predict_proba(pairs)[:, 1].mean() < 0.1
    balanced = clone(predictor).set_params(prior="balanced").fit(sbm)
    assert balanced.predict_proba(pairs)[:, 1].mean() > 0.25
    assert predictor.predict(pairs).mean() <= balanced.predict(pairs).mean()
    assert predictor.predict_links(3).prior == "density"


def test_pairs_come_in_any_container_and_in_either_direction(pairs, predictor):
    pandas = pytest.importorskip("pandas")
    expected = predictor.predict_proba(pairs)
    for given in (
        pairs.tolist(),
        list(map(tuple, pairs)),
        pandas.DataFrame(pairs),
        pairs[:, ::-1],
    ):
        np.testing.assert_array_equal(predictor.predict_proba(given), expected)


def test_nodes_without_names_are_the_rows():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = LinkPredictor(VGAEEmbedder(**SMALL, n_neighbors=3)).fit(X)
    z = model.embedder_.transform(X)
    scores = model.decision_function(np.array([[0, 1], [39, 5]]))
    np.testing.assert_allclose(scores, [z[0] @ z[1], z[39] @ z[5]], rtol=1e-5)


def test_names_may_be_numbers_and_words_in_one_graph():
    graph = Graph.from_edges(np.triu_indices(9, k=7), node_ids=["a", 5, "b", *range(10, 16)])
    model = LinkPredictor(VGAEEmbedder(**SMALL), validation_fraction=0.7).fit(graph)
    scores = model.decision_function([("a", "5"), ("a", "b")])
    z = model.embedder_.embedding_
    np.testing.assert_allclose(scores, [z[0] @ z[1], z[0] @ z[2]], rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ([("node-1", "x")] * 9, "UNKNOWN_NODE", "'x'"),
        ([("node-1", "node-1")], "SELF_PAIR", "'node-1'"),
        (("node-1", "node-2"), "PAIR_SHAPE", r"shape \(P, 2\), got \(2,\)"),
        ([("node-1",), ("node-2",)], "PAIR_SHAPE", r"shape \(P, 2\), got \(2, 1\)"),
    ],
)
def test_pairs_that_cannot_be_scored_are_errors(predictor, given, code, words):
    with pytest.raises(DataError, match=words) as caught:
        predictor.predict(given)
    assert caught.value.code == code


def test_proposals_are_those_of_predict_links_with_probabilities(sbm, predictor):
    options = {"nodes": ["node-7"], "progress": False}
    table = predictor.predict_links(3, **options)
    assert len(table) == 3
    expected = predict_links(predictor.embedder_.model_, sbm, 3, **options)
    assert table.names() == expected.names()
    probability = predictor.predict_proba(table.names())[:, 1]
    np.testing.assert_allclose(table.probability, probability, rtol=1e-5)
    with pytest.raises(NotFittedError):
        LinkPredictor().predict_links()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"calibration": "plat"}, UsageError, "method must be one of platt"),
        ({"prior": "even"}, UsageError, "prior must be one of balanced"),
        ({"goal": "recall"}, UsageError, "goal must be f1"),
        ({"goal": 3}, UsageError, "goal must be a string, got 3"),
        ({"validation_fraction": None}, UsageError, "validation_fraction must be a number"),
        ({"random_state": "x"}, UsageError, "random_state must be an integer or"),
        (
            {"embedder": VGAEEmbedder(n_components="8")},
            UsageError,
            "n_components must be an integer or None, got '8'",
        ),
        ({"validation_fraction": 1.0}, UsageError, "must be a fraction of the links"),
        (
            {"validation_fraction": 0},
            DataError,
            "needs 2 held-out links, got 0 with validation_fraction = 0 of",
        ),
        ({"embedder": MaxAbsScaler()}, UsageError, "must be a VGAEEmbedder, got MaxAbsScaler"),
    ],
)
def test_a_predictor_is_not_trained_before_its_options_make_sense(sbm, changes, error, words):
    embedder = VGAEEmbedder(device="none that there is")
    with pytest.raises(error, match=words):
        LinkPredictor(**{"embedder": embedder, **changes}).fit(sbm)


def test_one_seed_is_enough_and_an_embedder_keeps_its_own(sbm, pairs):
    unseeded = VGAEEmbedder(max_epochs=2, device="cpu")
    models = [LinkPredictor(unseeded, random_state=3).fit(sbm) for _ in range(2)]
    first, again = (model.predict_proba(pairs) for model in models)
    np.testing.assert_array_equal(first, again)
    assert unseeded.random_state is None
    assert not hasattr(unseeded, "model_")
    assert models[0].embedder_.seed_ == 3
    seeded = LinkPredictor(VGAEEmbedder(max_epochs=0, device="cpu", random_state=4)).fit(sbm)
    assert seeded.embedder_.seed_ == 4


@pytest.mark.row("R22")
@pytest.mark.parametrize("kind", ["adjacency", "networkx", "edges", "PyG", "Graph", "alone"])
def test_a_cross_validation_cannot_divide_a_graph(kind, sbm, X, A):
    search = GridSearchCV(
        VGAEEmbedder(**SMALL),
        {"n_components": [2, 3]},
        scoring=lambda *_: 0.0,
        cv=2,
        error_score="raise",
    )
    graph = {
        "adjacency": A,
        "networkx": nx.from_scipy_sparse_array(A),
        "edges": sbm.edge_index.numpy(),
        "PyG": sbm.to_pyg(),
        "Graph": sbm,
    }
    given, options = (sbm, {}) if kind == "alone" else (X, {"graph": graph[kind]})
    with pytest.raises((DataError, UsageError), match="as in GridSearchCV") as caught:
        search.fit(given, **options)
    assert "\n" not in str(caught.value)
    assert "vgae.LinkSearch" in str(caught.value)


def test_a_direction_or_two_sides_are_kept(generator):
    net = nx.DiGraph(torch.randint(30, (90, 2), generator=generator).tolist())
    net.remove_edges_from(nx.selfloop_edges(net))
    model = VGAEEmbedder(max_epochs=2, directed="keep", random_state=0).fit(net)
    assert model.graph_.directed
    assert model.graph_.num_links == net.number_of_edges()
    assert not VGAEEmbedder(max_epochs=1).fit(net).graph_.directed
    with pytest.raises(UsageError, match="directed must be one of"):
        VGAEEmbedder(directed="both").fit(net)
    links = sp.csr_array((torch.rand(20, 30, generator=generator) < 0.2).numpy())
    shop = Graph.from_scipy(links, sides="columns", name="shop")
    predictor = LinkPredictor(VGAEEmbedder(max_epochs=3), validation_fraction=0.2, random_state=0)
    predictor.fit(shop)
    found = predictor.predict_links(3)
    assert bool((shop.sides[found.source] != shop.sides[found.target]).all())
    assert predictor.predict_proba([(0, 49)]).shape == (1, 2)
    with pytest.raises(DataError, match="join two nodes of one side"):
        predictor.predict([(0, 1)])


def test_rows_in_another_order_keep_the_kind(generator):
    pandas = pytest.importorskip("pandas")
    names = [f"n{k}" for k in range(20)]
    order = torch.randperm(20, generator=generator).tolist()
    X = pandas.DataFrame(
        torch.rand(20, 3, generator=generator).numpy()[order],
        index=[names[k] for k in order],
        columns=["a", "b", "c"],
    )
    sides = torch.arange(20) >= 8
    across = torch.cartesian_prod(torch.arange(8), torch.arange(8, 20))[::3].T
    shop = Graph.from_edges(across, node_ids=names, sides=sides, side_names=("user", "item"))
    arrows = Graph.from_edges(across, node_ids=names, directed="keep")
    plain = Graph.from_edges(across, node_ids=names, sides="none")
    for graph in (shop, arrows, plain):
        found = VGAEEmbedder(max_epochs=1).fit(X, graph=graph).graph_
        assert found.ids == tuple(X.index)
        assert found.directed == graph.directed
        assert (found.sides is None) == (graph.sides is None)
        assert found.side_names == graph.side_names
        ends = {tuple(found.ids[k] for k in pair) for pair in found.links.T.tolist()}
        wanted = {tuple(names[k] for k in pair) for pair in graph.links.T.tolist()}
        own = set(map(frozenset, ends)), set(map(frozenset, wanted))
        assert ends == wanted if graph is not plain else own[0] == own[1]


@pytest.mark.parametrize(("readout", "times"), [("mean", 1), ("moments", 2)])
def test_vectors_of_many_graphs_have_a_row_each(readout, times):
    drawn = [nx.cycle_graph(n) for n in (5, 6, 7, 8)]
    embedder = VGAEEmbedder(max_epochs=2, random_state=0, level="graphs", readout=readout)
    vectors = embedder.fit_transform(drawn)
    recipe = embedder.recipe_
    assert vectors.shape == (4, times * (recipe.latent_channels - recipe.positions + 2))
    assert len(embedder.get_feature_names_out()) == vectors.shape[1]
    np.testing.assert_allclose(embedder.transform(drawn[1:]), vectors[1:], rtol=1e-4, atol=1e-5)


def test_vectors_of_graphs_need_many(X, A):
    with pytest.raises(UsageError, match="level='graphs' needs many graphs"):
        VGAEEmbedder(level="graphs").fit(X, graph=A)


@pytest.mark.parametrize("verbose", [False, 0, True, 1])
def test_progress_is_shown_only_if_it_is_wanted(sbm, capfd, verbose):
    options = {"max_epochs": 2, "recipe": "paper", "random_state": 0}
    VGAEEmbedder(**options, verbose=verbose).fit(sbm)
    assert ("2/2" in capfd.readouterr().err) == bool(verbose)
    predictor = LinkPredictor(VGAEEmbedder(**options), verbose=verbose, validation_fraction=0.2)
    predictor.fit(sbm)
    assert ("2/2" in capfd.readouterr().err) == bool(verbose)
    assert predictor.embedder.verbose is False  # as it was given
    predictor.predict_links(3)
    assert ("/" in capfd.readouterr().err) == bool(verbose)


@pytest.mark.parametrize("estimator", [VGAEEmbedder, LinkPredictor])
def test_verbose_is_true_or_false(sbm, estimator):
    with pytest.raises(UsageError, match="verbose must be True or False or an integer"):
        estimator(verbose="yes").fit(sbm)

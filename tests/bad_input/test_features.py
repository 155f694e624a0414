"""Features and labels that cannot be used, or look as if they could not: rows F."""

import re

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch

from vgae.data.files import read_npz
from vgae.graphs.graph import Graph

RING = "".join(f"{k},{(k + 1) % 40}\n" for k in range(40))
X = np.arange(80.0).reshape(40, 2) % 7
NAMES = [f"n{k:02}" for k in range(40)]
NAMED = "".join(f"{u},{v}\n" for u, v in zip(NAMES, NAMES[1:] + NAMES[:1], strict=True))


def changed(row, column, value, dtype=np.float64):
    x = X.astype(dtype)
    x[row, column] = value
    return x


def with_labels(y, **more):
    edges = np.array([[k, (k + 1) % 40] for k in range(40)]).T
    graph = {"format": "vgae-graph-1", "num_nodes": 40, "edges": edges, "x": X}
    return graph | {"y": np.array(y)} | more


@pytest.mark.parametrize(
    ("file", "content", "code", "says"),
    [
        pytest.param(
            "x.csv",
            "id,a,b\n0,1,2\n1,nan,4\n2,inf,6\n",
            "FEATURE_NONFINITE",
            ["finite in float32, got 2 other values, the first in row 1, column 0"],
            id="F01-csv",
        ),
        pytest.param(
            "x.npy", changed(7, 1, -np.inf), "FEATURE_NONFINITE", ["row 7, column 1"], id="F01-npy"
        ),
        pytest.param(
            "x.npz",
            sp.csr_array(changed(3, 0, np.nan)),
            "FEATURE_NONFINITE",
            ["got 1 other values, the first in row 3, column 0"],
            id="F01-sparse",
        ),
        pytest.param(
            "x.npy",
            X[:39],
            "NODE_SET_MISMATCH",
            [r"39 rows .*nodes 1 \(39\)", "save them as npz with ids and x"],
            id="F02-too-few",
        ),
        pytest.param(
            "x.npz",
            {"x": X, "ids": np.arange(39)},
            "NODE_SET_MISMATCH",
            ["40 rows and 39 ids"],
            id="F02-ids",
        ),
        pytest.param("x.npy", X[:, :0], "FEATURE_SHAPE", [r"F > 0, got \(40, 0\)"], id="F04-npy"),
        pytest.param(
            "x.csv", "id\n0\n1\n", "FEATURE_HEADER", ["line 1: expected a header"], id="F04-csv"
        ),
        pytest.param(
            "x.csv",
            "id,age,town\n0,1,2\n1,2,Ulm\n",
            "FEATURE_DTYPE",
            ["each feature must be a number: 'town' is 'Ulm' in line 3; .*--encode "],
            id="F06-csv",
        ),
        pytest.param(
            "x.parquet",
            pa.table({"id": [0, 1], "age": [1.0, 2.0], "town": ["Ulm", "Bonn"]}),
            "FEATURE_DTYPE",
            ["'town' is of type string; .*--encode "],
            id="F06-parquet",
        ),
        *(
            pytest.param("x.npy", X.astype(dtype), "FEATURE_DTYPE", [words], id=f"F06-{dtype}")
            for dtype, words in [("U9", "<U"), ("complex64", "complex64"), ("M8[s]", "datetime64")]
        ),
        pytest.param(
            "x.npy", X.astype(object), "PICKLE_REFUSED", ["pickled objects"], id="F06-object"
        ),
        pytest.param(
            "x.npy",
            changed(2, 0, 3.5e38),
            "FEATURE_NONFINITE",
            ["row 2, column 0"],
            id="F07-large",
        ),
        pytest.param("x.npy", X[:, 0], "FEATURE_SHAPE", [r"\(N, F\).*got \(40,\)"], id="F10-1d"),
        pytest.param("x.npy", X[None], "FEATURE_SHAPE", [r"got \(1, 40, 2\)"], id="F10-3d"),
    ],
)
def test_features_that_cannot_be_used_are_one_line(refused, file, content, code, says):
    files = {"g.csv": RING, file: content}
    refused(files, f"train g.csv --features {file}", code, rf"{file}\b|the features", *says)


@pytest.mark.row("F02")
def test_more_rows_than_the_nodes_of_a_matrix_are_refused(refused):
    lines = ["%%MatrixMarket matrix coordinate pattern general", "39 39 1", "1 2", ""]
    files = {"g.mtx": "\n".join(lines), "x.npy": X}
    says = "39 nodes and features of 40: .*--missing-features zero"
    refused(files, "train g.mtx --features x.npy", "NODE_SET_MISMATCH", says)


@pytest.mark.row("F03")
def test_without_features_nodes_have_weights_of_their_own_and_that_is_said(trained):
    answer, _ = trained({"g.csv": RING}, "train g.csv --epochs 1")
    assert "no features: each node has weights of its own" in answer.notices
    assert "40 nodes, 40 links, 0 features" in answer.out


@pytest.mark.row("F03")
def test_what_stands_in_for_features_is_far_smaller_than_an_identity(refused):
    """Of 20,000 nodes it would take 1,600 MB; torch alone takes 140."""
    ring = "".join(f"{k},{(k + 1) % 20_000}\n" for k in range(20_000))
    line = "train g.csv --recipe paper --pairs sampled --max-memory 1"
    message = refused({"g.csv": ring}, line, "MEMORY", "hidden_channels", "--max-memory", status=5)
    found = re.search(r"takes about (\d+) MB, and 1 MB", message)
    assert int(found[1]) < 400


@pytest.mark.parametrize(
    ("recipe", "x"),
    [
        pytest.param(recipe, x, id=f"F05-{name}-{recipe}")
        for recipe in ("paper", "best")
        for name, x in [
            ("zero-rows", X * (np.arange(40) % 3 > 0)[:, None]),
            ("constant-columns", np.ones((40, 3)) * [0, 1, 5]),
        ]
    ],
)
def test_rows_of_zeros_and_constant_columns_do_no_harm(trained, recipe, x):
    line = f"train g.csv --features x.npy --recipe {recipe} --epochs 2"
    trained({"g.csv": RING, "x.npy": x}, line)


@pytest.mark.parametrize(
    "x",
    [
        *(
            pytest.param(X.astype(dtype), id=f"F07-{dtype}")
            for dtype in ("float16", "float64", "int8", "uint64", ">f8")
        ),
        pytest.param(np.asfortranarray(X), id="F09-fortran"),
        pytest.param(np.repeat(X, 2, axis=1)[:, ::2], id="F09-strided"),
        pytest.param({"x": X[::-1][::-1].astype(np.float32)}, id="F09-npz"),
        pytest.param({"x": sp.csr_array(X).toarray(order="F")}, id="F09-npz-fortran"),
    ],
)
def test_numbers_of_any_type_and_layout_are_the_same_features(converted, x):
    file = "x.npz" if isinstance(x, dict) else "x.npy"
    graph = converted({"g.csv": RING, file: x}, f"convert g.csv --features {file}")
    assert graph.x.dtype == torch.float32
    assert np.array_equal(graph.dense_x.numpy(), X)


@pytest.mark.row("F07")
def test_truth_values_are_ones_and_zeros(converted):
    graph = converted({"g.csv": RING, "x.npy": X > 3}, "convert g.csv --features x.npy")
    assert np.array_equal(graph.dense_x.numpy(), X > 3)


@pytest.mark.row("F09", "F12")
def test_what_was_handed_over_is_read_in_any_form_and_not_changed(tmp_path):
    edges = np.array([[k, (k + 1) % 40] for k in range(40)]).T
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    tensor = torch.tensor(X, requires_grad=True)
    forms = [mapped, tensor, tensor.detach().to_sparse(), sp.coo_array(X), sp.csc_array(X)]
    graphs = [Graph.from_edges(edges, x=form) for form in forms]
    assert len({graph.fingerprint for graph in graphs}) == 1
    assert not any(graph.x.requires_grad for graph in graphs)
    assert np.array_equal(mapped, X)
    assert tensor.requires_grad
    assert tensor.grad is None


@pytest.mark.gpu
@pytest.mark.row("F12")
def test_features_on_a_gpu_are_brought_to_the_cpu():
    edges = np.array([[0, 1], [1, 2]]).T
    on_gpu = Graph.from_edges(torch.tensor(edges).cuda(), x=torch.eye(3).cuda())
    assert on_gpu.fingerprint == Graph.from_edges(edges, x=np.eye(3)).fingerprint


@pytest.mark.row("F08")
def test_features_of_a_wild_scale_train_or_stop_at_the_first_loss_that_is_not_finite(
    command, write, tmp_path
):
    write({"g.csv": RING, "x.npy": X * 1e30})
    words = ["train", "g.csv", "--features", "x.npy", "--epochs", "3", "-o", "run", "--quiet"]
    status, out, err = command(*words, "--recipe", "paper")
    assert (status, out) == (6, "")
    assert err.startswith("error[DIVERGED]: the loss is ")
    assert "in epoch 1; scale the features: --set scale_features=true" in err
    assert "--recipe best" in err
    assert "or try a smaller lr (now 0.01)" in err
    assert err.count("\n") == 1
    # No result: what is there can be resumed or overwritten.
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert (tmp_path / "run" / "history.jsonl").read_bytes() == b""
    assert not list(tmp_path.rglob(".tmp-*"))


@pytest.mark.row("F08")
def test_large_features_that_stay_finite_are_trained_on(trained):
    trained({"g.csv": RING, "x.npy": X * 10}, "train g.csv --features x.npy --epochs 2")


@pytest.mark.parametrize(
    ("files", "options", "code", "says"),
    [
        pytest.param(
            {"x.npy": np.ones((40, 3))},
            "--features x.npy",
            "FEATURE_DIM_MISMATCH",
            ["g has 3 features, and this model was trained with 2"],
            id="F11-more",
        ),
        pytest.param(
            {}, "", "NO_FEATURES", ["g has no features", "--features FILE"], id="F11-none"
        ),
        pytest.param(
            {"x.csv": "id,b,a\n" + "".join(f"{k},1,2\n" for k in range(40))},
            "--features x.csv",
            "FEATURE_NAMES",
            ["column 0 .* is 'b', .* 'a' there; put them in its order"],
            id="F11-order",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["embed", "predict"])
def test_a_model_takes_only_the_features_it_was_trained_with(
    refused, known_run, verb, files, options, code, says
):
    line = f"{verb} {known_run} g.csv {options} -o out.csv"
    refused({"g.csv": RING} | files, line, code, *says)


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        pytest.param(
            with_labels([0] * 39), "NODE_SET_MISMATCH", r"y .*\(40\), got 39", id="F13-short"
        ),
        pytest.param(with_labels([0] * 39 + [-2]), "LABELS", "-2 at node 39", id="F13-negative"),
        pytest.param(with_labels([0.5] * 40), "LABELS", "float64", id="F13-float"),
        pytest.param(
            with_labels([2] * 40, label_names=np.array(["a", "b"])),
            "LABELS",
            "got 2",
            id="F13-names",
        ),
    ],
)
def test_labels_that_do_not_fit_are_one_line(refused, content, code, says):
    refused({"g.npz": content}, "train g.npz", code, r"g\.npz: ", says)


@pytest.mark.row("F13")
def test_unknown_labels_are_left_out_of_what_labels_are_for(trained, command, tmp_path):
    y = [k % 2 for k in range(30)] + [-1] * 10
    trained({"g.npz": with_labels(y)}, "train g.npz --epochs 1")
    assert (tmp_path / "run" / "figures" / "embedding.png").stat().st_size > 0
    status, out, err = command("evaluate", "run", "--tasks", "clusters")
    assert (status, err) == (0, "")
    assert "all labelled nodes" in out
    assert read_npz(tmp_path / "g.npz").y.tolist() == y


@pytest.mark.row("F13")
def test_without_labels_there_are_no_classes_and_that_is_said(command, known_run):
    status, out, err = command("evaluate", known_run, "--tasks", "classes")
    assert (status, out) == (3, "")
    assert err.startswith("error[NO_LABELS]: ")
    assert err.count("\n") == 1


@pytest.mark.row("F01")
def test_the_features_that_others_are_changed_from_are_good_ones(converted):
    assert converted({"g.csv": RING, "x.npy": X}, "convert g.csv --features x.npy").num_nodes == 40
    assert converted({"g.npz": with_labels([0] * 40)}, "convert g.npz").y.tolist() == [0] * 40


def people(**changes):
    """Return a table of the forty nodes, with columns of every kind."""
    rows = {
        "id": [f"{k}" for k in range(40)],
        "age": [f"{k % 9}" for k in range(40)],
        "city": ["Ulm", "Bern"] * 20,
    }
    rows |= changes
    lines = zip(*rows.values(), strict=True)
    return "\n".join([",".join(rows), *map(",".join, lines)]) + "\n"


@pytest.mark.parametrize(
    ("changes", "options", "code", "says"),
    [
        pytest.param(
            {"note": [f"likes tea {k}" for k in range(40)], "mail": [f"m{k}" for k in range(40)]},
            "--encode auto",
            "FEATURE_DTYPE",
            ["'note' is free text", r"\(--encode note=hash --encode mail=drop\)\.$"],
            id="F14-text",
        ),
        pytest.param(
            {"when": ["01/02/2020"] * 20 + ["02/03/2020"] * 20},
            "--encode auto",
            "FEATURE_DTYPE",
            ["day or month first", "--encode when=date-dmy"],
            id="F14-dates",
        ),
        pytest.param(
            {"age": [*map(str, range(39)), "old"]},
            "--encode auto",
            "FEATURE_DTYPE",
            ["'age' has numbers, but also 'old' in row 40", "--encode age=drop"],
            id="F14-numbers",
        ),
        pytest.param({}, "--id-column idd", "ID_COLUMN", ["did you mean 'id'"], id="F16-id"),
        pytest.param(
            {},
            "--label-column town",
            "LABEL_COLUMN",
            ["it has 'id', 'age', 'city'"],
            id="F16-label",
        ),
        pytest.param(
            {"age": [""] * 40},
            "--label-column age --encode auto",
            "LABELS",
            ["'age' of the labels has no values"],
            id="F16-labels",
        ),
    ],
)
def test_a_table_that_cannot_be_encoded_is_one_line(refused, changes, options, code, says):
    files = {"g.csv": RING, "x.csv": people(**changes)}
    refused(files, f"train g.csv --features x.csv {options}", code, r"x\.csv: ", *says)


@pytest.mark.row("F16")
def test_options_of_tables_without_a_table_are_refused(refused):
    refused({"g.csv": RING}, "train g.csv --encode auto", "ENCODE", "--features FILE", status=2)


@pytest.mark.row("F15")
def test_a_later_table_goes_through_the_encoder_of_the_run(refused, accepted):
    files = {"g.csv": RING, "x.csv": people()}
    accepted(files, "train g.csv --features x.csv --encode auto --epochs 1")
    accepted(
        {"y.csv": people(city=["Rom"] * 40, new=["1"] * 40)}, "embed run g.csv --features y.csv"
    )
    line = "embed run g.csv --features y.csv -o z.csv"
    lacking = people().replace("city", "town")
    refused({"y.csv": lacking}, line, "FEATURE_NAMES", "lacks 'city'")
    refused({"y.csv": people(age=["old"] * 40)}, line, "FEATURE_DTYPE", "'old' in row 1")

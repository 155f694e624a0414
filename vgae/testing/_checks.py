"""Checks of encoders; each docstring gives the requirement, then its reason."""

import copy
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from pickle import dumps
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from vgae.graphs.canonical import both_directions
from vgae.graphs.graph import Graph
from vgae.graphs.split import split_links
from vgae.models.embedding import embed
from vgae.recipes import PAPER
from vgae.testing._cases import (
    IN_CHANNELS,
    NUM_NODES,
    TOLERANCE,
    ConformanceError,
    Make,
    built,
    encoded,
    encoded_heads,
    expect,
    expect_finite,
    expect_same,
    features,
    global_state,
    graph,
    heads,
    inputs,
    links,
    seed_all,
)
from vgae.training import checkpoint
from vgae.training.history import HistoryRow
from vgae.training.links import fit
from vgae.training.state import named_generators
from vgae.vae import VAE


def check_shapes(make: Make) -> None:
    """Mean and log-variance have shape (N, d), also for a graph of another size.

    Decoders, exports and the KL divergence need one row per node.
    """
    for num_nodes in (NUM_NODES, NUM_NODES + 5):
        q = encoded(built(make), features(num_nodes), both_directions(links(num_nodes)))
        for name, value in heads(q).items():
            shape = tuple(value.shape)
            fits = len(shape) == 2 and shape[0] == num_nodes and shape == q.mu.shape
            expect(fits, f"{name} has shape {shape} and not ({num_nodes}, d)")
            expect(value.dtype == torch.float32, f"{name} is {value.dtype} of float32 features")


def check_posterior(make: Make) -> None:
    """A sample has the mean's shape and uses the generator; KL has one value >= 0 per node.

    The loss sums these values, and a run is reproducible only if its noise has its own generator.
    """
    q = encoded(built(make), *inputs())
    draws = [q.rsample(torch.Generator().manual_seed(1)) for _ in range(2)]
    shape = tuple(draws[0].shape)
    expect(shape == q.mu.shape, f"a sample has shape {shape} and not {tuple(q.mu.shape)}")
    expect_same({"a sample": draws[0]}, {"a sample": draws[1]}, "the same generator twice")
    kl = q.kl()
    expect(kl.shape == (NUM_NODES,), f"kl() has shape {tuple(kl.shape)} and not ({NUM_NODES},)")
    expect_finite({"kl()": kl}, "on an ordinary graph")
    expect(bool((kl >= 0).all()), f"kl() is {float(kl.min()):.3g} for some node, below zero")


def check_node_order(make: Make) -> None:
    """Renumbered nodes give the same posteriors, renumbered: permutation equivariance.

    A model that depends on node numbers gives other results for a graph loaded in another order.
    """
    model, (x, edge_index) = built(make), inputs()
    order = torch.randperm(NUM_NODES, generator=torch.Generator().manual_seed(2))
    want = {name: value[order] for name, value in encoded_heads(copy.deepcopy(model)).items()}
    got = encoded_heads(model, x[order], order.argsort()[edge_index])
    expect_same(got, want, "nodes renumbered", TOLERANCE)


def check_link_order(make: Make) -> None:
    """The same links in any order, direction or multiplicity give the same posteriors.

    The bits are equal through ``Graph``, which has one form for each graph; other orders of the
    columns of ``edge_index`` change only the rounding.
    """
    model, (x, edge_index) = built(make), inputs()
    order = torch.randperm(edge_index.shape[1], generator=torch.Generator().manual_seed(3))
    want = encoded_heads(copy.deepcopy(model))
    got = encoded_heads(copy.deepcopy(model), x, edge_index[:, order])
    expect_same(got, want, "columns of edge_index in another order", TOLERANCE)
    want = heads(embed(copy.deepcopy(model), graph()))
    shuffled = links()[:, torch.randperm(links().shape[1], generator=torch.Generator())]
    for what, edges in {
        "links in another order": shuffled,
        "reversed links": links().flip(0),
        "links given twice": torch.cat([shuffled, links(), shuffled.flip(0)], dim=1),
    }.items():
        same = Graph.from_edges(edges, x=features())
        expect_same(heads(embed(copy.deepcopy(model), same)), want, what)


def check_inputs_untouched(make: Make) -> None:
    """A call changes neither values nor dtype nor ``requires_grad`` of x and edge_index.

    The tensors are used again, in the next epoch and by their graph.
    """
    for training in (False, True):
        given, model = inputs(), built(make).train(training)
        versions = [value._version for value in given]
        model.encoder(*given)
        where = f"after a call in {'training' if training else 'evaluation'}"
        names = ("x", "edge_index")
        for name, value, before, version in zip(names, given, inputs(), versions, strict=True):
            expect_same({name: value.detach()}, {name: before}, where)
            expect(value._version == version, f"{where}: {name} was written to")
            expect(not value.requires_grad, f"{where}: {name} requires gradients")


def check_feature_memory(make: Make) -> None:
    """Read-only, column-major, memory-mapped and float64 features give the same posteriors.

    The memory layout of an array is no property of the nodes.
    """
    model, x = built(make), features().numpy()
    want = heads(embed(copy.deepcopy(model), graph()))
    # On Windows, an open memory map delays the deletion of its file.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "x.npy"
        np.save(path, x)
        for what, given in {
            "column-major features": np.asfortranarray(x),
            "float64 features": x.astype(np.float64),
            "read-only memory-mapped features": np.load(path, mmap_mode="r"),
        }.items():
            q = embed(copy.deepcopy(model), Graph.from_edges(links(), x=given))
            expect_same(heads(q), want, what)
    turned = features().T.contiguous().T
    got = encoded_heads(copy.deepcopy(model), turned, inputs()[1])
    expect_same(got, encoded_heads(model), "x as a transposed tensor", TOLERANCE)


def check_prepared_inputs(make: Make) -> None:
    """The result of ``prepare``, if the encoder has it, gives the posteriors of the plain inputs.

    ``fit`` and ``embed`` use the prepared form, other code the plain one.
    """
    model = built(make).eval()
    if prepare := getattr(model.encoder, "prepare", None):
        got = encoded_heads(copy.deepcopy(model), *prepare(*inputs()))
        expect_same(got, encoded_heads(model), "prepared inputs", TOLERANCE)


def _odd_graphs() -> dict[str, tuple[Tensor, Tensor]]:
    hub = torch.stack([torch.zeros(300, dtype=torch.long), torch.arange(1, 301)])
    return {
        "a graph with isolated nodes": (features(NUM_NODES + 3), both_directions(links())),
        "a star of 300 leaves": (features(301), both_directions(hub)),
        "a graph with a single link": (features(), torch.tensor([[0, 1], [1, 0]])),
        "a graph without links": (features(), torch.empty(2, 0, dtype=torch.long)),
    }


def _odd_features() -> dict[str, tuple[Tensor, Tensor]]:
    some, edge_index = inputs()
    some[::3] = 0
    return {
        "zeros in some rows of features": (some, edge_index),
        "nothing but zeros as features": (0 * features(), edge_index),
        "constant features": (0 * features() + 1, edge_index),
    }


def check_finite_on_odd_graphs(make: Make) -> None:
    """Posteriors are finite for isolated nodes, a hub, a single link and no links.

    Real graphs have such parts, and a NaN of one node spreads to all nodes through the loss.
    """
    for what, given in _odd_graphs().items():
        expect_finite(encoded_heads(built(make), *given), what)


def check_finite_on_odd_features(make: Make) -> None:
    """Posteriors are finite if rows of features are zero, or all rows are equal.

    Word counts have empty rows, for which a norm or a deviation in a denominator is zero.
    """
    for what, given in _odd_features().items():
        expect_finite(encoded_heads(built(make), *given), what)


def _gradients(model: VAE, given: tuple[Any, ...]) -> dict[str, Tensor | None]:
    """Return the gradients of the encoder's parameters that require them, by name."""
    model.train()
    q = model.encoder(*given)
    weight = torch.Generator().manual_seed(4)
    loss = sum((v * torch.rand(v.shape, generator=weight)).sum() for v in heads(q).values())
    loss.backward()  # pyright: ignore[reportAttributeAccessIssue]
    encoder: Any = model.encoder
    return {name: p.grad for name, p in encoder.named_parameters() if p.requires_grad}


def check_every_parameter_is_used(make: Make) -> None:
    """Every parameter that requires gradients receives one from mean and log-variance.

    A parameter without a gradient is not trained: ``forward`` omits or detaches its layer.
    """
    unused = [name for name, grad in _gradients(built(make), inputs()).items() if grad is None]
    expect(not unused, f"no gradient reaches {', '.join(unused)}")


def check_finite_gradients(make: Make) -> None:
    """Gradients are finite on ordinary and odd inputs for which the posterior is finite.

    The square root of zero is finite, but its gradient is not: training then ends in NaN.
    """
    for what, given in {"an ordinary graph": inputs(), **_odd_graphs(), **_odd_features()}.items():
        model = built(make)
        q = encoded_heads(copy.deepcopy(model), *given)
        if all(bool(value.isfinite().all()) for value in q.values()):  # else another check fails
            grads = _gradients(model, given).items()
            expect_finite({f"the gradient of {n}": g for n, g in grads if g is not None}, what)


def check_wrong_width(make: Make) -> None:
    """Features of another width raise an error that names both widths.

    The error reveals mixed-up files.
    """
    for wrong in (IN_CHANNELS - 1, IN_CHANNELS + 1):
        model, x = built(make), features(in_channels=wrong)
        try:
            encoded(model, x, inputs()[1])
        except (ValueError, RuntimeError) as error:
            named = str(wrong) in str(error) and str(IN_CHANNELS) in str(error)
            expect(named, f"the error does not name the widths {wrong} and {IN_CHANNELS}: {error}")
        else:
            raise ConformanceError(f"a model of {IN_CHANNELS} features accepts {wrong} columns")


def check_evaluation_is_deterministic(make: Make) -> None:
    """In evaluation mode, two calls give the same bits for any state of the generators.

    An embedding that changes between calls cannot be stored, compared or tested. Modes of modules
    and the model's own generators do not change either.
    """
    model = built(make).eval()
    own = named_generators({"encoder": model.encoder})
    drawn = {name: generator.get_state() for name, generator in own.items()}
    want = encoded_heads(model)
    seed_all(1)
    expect_same(encoded_heads(model), want, "a second call in evaluation mode")
    for name, generator in own.items():
        unmoved = torch.equal(generator.get_state(), drawn[name])
        expect(unmoved, f"evaluation mode draws random numbers from {name}")
    with torch.no_grad():
        model.encoder(*inputs())
    training = [name for name, part in model.named_modules() if part.training]
    expect(not training, f"{training} are in training mode after a call in evaluation mode")


def check_no_memory_of_other_graphs(make: Make) -> None:
    """The result of a call does not depend on the graph of the previous call.

    A cached adjacency, as in ``GCNConv(cached=True)``, silently gives results for another graph.
    """
    model = built(make)
    other = copy.deepcopy(model)
    path = both_directions(torch.stack([torch.arange(NUM_NODES - 1), torch.arange(1, NUM_NODES)]))
    encoded_heads(model, 1 - features(), path)
    encoded_heads(other)  # the same number of calls; another check covers repeated calls
    want = encoded_heads(other)
    expect_same(encoded_heads(model), want, "after a call with another graph")


def check_save_and_load(make: Make) -> None:
    """``state_dict`` through safetensors into another new model gives the same bits.

    State outside of parameters and buffers is lost when a model is saved.
    """
    model, other = built(make), built(make, seed=1)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    other.load_state_dict(load(save(weights)))
    expect_same(encoded_heads(other), encoded_heads(model), "weights saved and loaded")


def check_copies(make: Make) -> None:
    """``copy.deepcopy`` gives an independent model with the same bits, and pickle accepts it.

    Averaged weights are kept in a deep copy; worker processes receive a pickled model.
    """
    model = built(make)
    other = copy.deepcopy(model)
    dumps(model)
    want = encoded_heads(model)
    expect_same(encoded_heads(copy.deepcopy(other)), want, "a deep copy")
    with torch.no_grad():
        for value in model.state_dict().values():
            value.zero_()
    expect_same(encoded_heads(other), want, "a deep copy whose original has changed")


def check_same_seed(make: Make) -> None:
    """Two models from the same seed have the same bits.

    Without reproducible initial weights an experiment cannot be repeated.
    """
    want = encoded_heads(built(make))
    expect_same(encoded_heads(built(make)), want, "made again from the same seed")


def check_global_state(make: Make) -> None:
    """A call does not change global generators, torch's settings or warning filters.

    In training, dropout may draw from torch's generator, but not from those of numpy and Python,
    which ``torch.manual_seed`` does not seed.
    """
    for training in (False, True):
        model, given = built(make).train(training), inputs()
        before = global_state()
        model.encoder(*given)
        after, mode = global_state(), "training" if training else "evaluation"
        for name, value in before.items():
            allowed = training and name == "torch's generator"
            expect(allowed or after[name] == value, f"a call in {mode} mode changed {name}")


def _trained(model: VAE, seed: int = 0, **options: Any) -> dict[str, Tensor]:
    """Fit for three epochs, in place; return the weights.

    The seed is that of the global generators, on which the weights must not depend: ``fit`` gives
    torch's generator a seed of its own.
    """
    seed_all(seed)
    split = split_links(graph(), val=0.1, test=0.1)
    recipe = replace(PAPER, epochs=3, eval_every=1)
    fit(graph(), split, model=model, recipe=recipe, device="cpu", progress=False, **options)
    return copy.deepcopy(model.state_dict())


def check_fit_repeats(make: Make) -> None:
    """Two copies of a model, fitted from the same seed, have the same weights, bit for bit.

    A difference between two runs must come from a change, not from chance.
    """
    model = built(make)
    want = _trained(copy.deepcopy(model))
    expect_same(_trained(copy.deepcopy(model), 1), want, "fitted again from the same seed")
    moved = any(not torch.equal(value, want[name]) for name, value in model.state_dict().items())
    expect(moved, "fitting changed no weight at all")


def check_refit_forgets(make: Make) -> None:
    """After a reset to its initial weights, a model is fitted to the same weights again.

    State that a training leaves outside of ``state_dict`` affects the next one.
    """
    model = built(make)
    initial = copy.deepcopy(model.state_dict())
    again = _trained(copy.deepcopy(model))
    want = _trained(model)
    if all(torch.equal(value, want[name]) for name, value in again.items()):  # see the last check
        model.load_state_dict(initial)
        expect_same(_trained(model), want, "fitted again from the initial weights")


class _StopError(Exception):
    """End of a training, as if its process was killed."""


def _stop(row: HistoryRow) -> None:
    if row.epoch == 2:
        raise _StopError


def check_resume(make: Make) -> None:
    """A fit that is interrupted and continued ends with the weights of one that is not.

    Checkpoints have ``state_dict``, torch's generators and ``encoder.generator``; counters and
    generators elsewhere are lost when a process is killed.
    """
    model = built(make)
    want = _trained(copy.deepcopy(model))
    # A checkpoint after each epoch.
    with tempfile.TemporaryDirectory() as folder, patch.object(checkpoint, "SECONDS", 0.0):
        with suppress(_StopError):
            _trained(copy.deepcopy(model), checkpoints=folder, on_row=_stop)
        got = _trained(copy.deepcopy(model), 1, checkpoints=folder)
    if all(torch.equal(v, want[k]) for k, v in _trained(copy.deepcopy(model), 1).items()):
        expect_same(got, want, "interrupted after the first epoch and continued")

"""Checks of several calls, copies, files and trainings."""

import copy
import tempfile
from dataclasses import replace
from pathlib import Path
from pickle import dumps

import torch
from safetensors.torch import load_file
from torch import Tensor

from vgae.graphs.graph import both_directions
from vgae.graphs.split import split_links
from vgae.models.files import save_weights
from vgae.recipes import PAPER
from vgae.testing._cases import (
    NUM_NODES,
    Make,
    built,
    encoded,
    expect,
    expect_same,
    features,
    global_state,
    graph,
    heads,
    inputs,
    seed_all,
)
from vgae.training.links import fit
from vgae.training.state import named_generators
from vgae.vae import VAE


def check_evaluation_is_deterministic(make: Make) -> None:
    """In evaluation mode, two calls give the same bits for any state of the generators.

    An embedding that changes between calls cannot be stored, compared or tested. Modes of modules
    and the model's own generators do not change either.
    """
    model = built(make).eval()
    own = named_generators({"encoder": model.encoder})
    drawn = {name: generator.get_state() for name, generator in own.items()}
    want = heads(encoded(model, *inputs()))
    seed_all(1)
    expect_same(heads(encoded(model, *inputs())), want, "a second call in evaluation mode")
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
    encoded(model, 1 - features(), path)
    encoded(other, *inputs())  # the same number of calls; another check covers repeated calls
    want = heads(encoded(other, *inputs()))
    expect_same(heads(encoded(model, *inputs())), want, "after a call with another graph")


def check_save_and_load(make: Make) -> None:
    """``state_dict`` through safetensors into another new model gives the same bits.

    State outside of parameters and buffers is lost when a model is saved.
    """
    model, other = built(make), built(make, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_weights(path, model.state_dict())
        other.load_state_dict(load_file(path))
    want = heads(encoded(model, *inputs()))
    expect_same(heads(encoded(other, *inputs())), want, "weights saved and loaded")


def check_copies(make: Make) -> None:
    """``copy.deepcopy`` gives an independent model with the same bits, and pickle accepts it.

    Averaged weights are kept in a deep copy; worker processes receive a pickled model.
    """
    model = built(make)
    other = copy.deepcopy(model)
    dumps(model)
    want = heads(encoded(model, *inputs()))
    expect_same(heads(encoded(copy.deepcopy(other), *inputs())), want, "a deep copy")
    with torch.no_grad():
        for value in model.state_dict().values():
            value.zero_()
    expect_same(heads(encoded(other, *inputs())), want, "a deep copy whose original has changed")


def check_same_seed(make: Make) -> None:
    """Two models from the same seed have the same bits.

    Without reproducible initial weights an experiment cannot be repeated.
    """
    want = heads(encoded(built(make), *inputs()))
    expect_same(heads(encoded(built(make), *inputs())), want, "made again from the same seed")


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


def _trained(model: VAE) -> dict[str, Tensor]:
    """Fit for three epochs, in place; return the weights."""
    seed_all(0)  # dropout of torch and PyG draws from the global generator
    split = split_links(graph(), val=0.1, test=0.1)
    recipe = replace(PAPER, epochs=3, eval_every=1)
    fit(graph(), split, model=model, recipe=recipe, device="cpu", progress=False)
    return copy.deepcopy(model.state_dict())


def check_fit_repeats(make: Make) -> None:
    """Two copies of a model, fitted from the same seed, have the same weights, bit for bit.

    A difference between two runs must come from a change, not from chance.
    """
    model = built(make)
    want = _trained(copy.deepcopy(model))
    expect_same(_trained(copy.deepcopy(model)), want, "fitted again from the same seed")
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
    if not all(torch.equal(value, want[name]) for name, value in again.items()):
        return  # reported by check_fit_repeats
    model.load_state_dict(initial)
    expect_same(_trained(model), want, "fitted again from the initial weights")

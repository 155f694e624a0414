import copy
import functools
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder
from vgae.training.identity import model_identity
from vgae.vae import VAE


class Own(nn.Module):
    """Encoder of a user, whose repr does not show what it computes."""

    def __init__(self, power=2, act=torch.tanh):
        super().__init__()
        self.power, self.act = power, act
        self.calls: list = [self]
        self.lin = nn.Linear(3, 2)

    def forward(self, x, edge_index):
        return self.act(self.lin(x)) ** self.power


def times(factor):
    return lambda x: x * factor


def test_equal_models_are_equal_whatever_their_weights():
    assert model_identity(Own()) == model_identity(Own())
    assert model_identity(GCNEncoder(3)) == model_identity(GCNEncoder(3))
    model = VAE(GCNEncoder(3), InnerProductDecoder())
    before = model_identity(model.train())
    assert model_identity(model.eval()) == before


def test_hyper_parameters_and_functions_are_compared_not_their_text():
    found = {
        model_identity(own)
        for own in (
            *(Own(), Own(power=3), Own(act=torch.relu), Own(act=lambda x: x)),
            *(Own(act=lambda x: x + 1), Own(act=functools.partial(torch.pow, exponent=2))),
            Own(act=functools.partial(torch.pow, exponent=3)),
            *(Own(act=times(1)), Own(act=times(2))),
        )
    }
    assert len(found) == 9
    assert model_identity(nn.Dropout(0.1)) != model_identity(nn.Dropout(0.2))
    assert model_identity(GCNEncoder(3, dropout=(0.1, 0.1))) != model_identity(GCNEncoder(3))


@dataclass
class Config:
    scale: float = 1.0


class Kind(Enum):
    ONE = 1
    TWO = 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Config(1.0), Config(5.0)),
        (SimpleNamespace(scale=1.0), SimpleNamespace(scale=5.0)),
        (np.float32(1), np.float32(5)),
        (np.ones(2), np.full(2, 5.0)),
        (torch.tensor(1.0), torch.tensor(5.0)),
        (Kind.ONE, Kind.TWO),
        ({"a": [1, (2, Config(1.0))]}, {"a": [1, (2, Config(2.0))]}),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("name", ["scale", "_scale"])
def test_configurations_of_any_form_are_compared(one, other, name):
    def identity(value):
        own = Own()
        setattr(own, name, value)
        return model_identity(own)

    assert identity(one) == identity(copy.deepcopy(one)) != identity(other)


def test_what_is_trained_is_compared_and_what_was_trained_is_not():
    frozen = Own()
    frozen.lin.weight.requires_grad_(False)
    assert model_identity(frozen) != model_identity(Own())
    model = VAE(Own(), InnerProductDecoder())
    before = model_identity(model)
    model.trained_on = ("abc",)
    assert model_identity(model) == before


def test_the_source_of_a_class_is_compared(tmp_path):
    def identity(body):
        path = tmp_path / "theirs.py"
        path.write_text(
            f"import torch\nclass E(torch.nn.Module):\n  def forward(self, x, e): {body}\n"
        )
        code = "from theirs import E\nfrom vgae.training.identity import model_identity\n"
        code += "print(model_identity(E()))"
        run = [sys.executable, "-c", f"import sys; sys.path.append({str(tmp_path)!r})\n{code}"]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout

    assert identity("return x") == identity("return x") != identity("return x + 1")


def test_without_a_file_the_bytecode_is_compared():
    def identity(body):
        names = {"nn": nn, "__name__": "theirs"}
        exec(f"class E(nn.Module):\n  def forward(self, x): {body}", names)
        return model_identity(names["E"]())

    assert identity("return x") == identity("return x") != identity("return [y + 1 for y in x]")
    assert identity("return [y + 2 for y in x]") != identity("return [y + 1 for y in x]")


def test_an_encoder_is_what_it_was_in_checkpoints_of_earlier_versions():
    model = VAE(GCNEncoder(3, 2), InnerProductDecoder())
    assert (
        model_identity(model) == "d7bb6cd05bcbf969b73ec8d2f5b09f3aaeba50bc1742887ae12f751963e491c0"
    )

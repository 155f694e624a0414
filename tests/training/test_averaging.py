"""The average of the weights over the later part of a training."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils._python_dispatch import TorchDispatchMode

from vgae.training.averaging import AveragedWeights


class Recorded(TorchDispatchMode):
    """Operations that reach a device, by name."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.name().removeprefix("aten::"))
        return func(*args, **(kwargs or {}))


def network() -> nn.Module:
    layer = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    layer.register_buffer("scale", torch.rand(3))
    return layer


@torch.no_grad()
def trained(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """Change all weights and buffers as a step of a training does."""
    for tensor in (*model.parameters(), *model.buffers()):
        noise = torch.randn(tensor.shape, generator=generator)
        tensor.add_(noise if tensor.is_floating_point() else 1)
    return model


def polynomial_decay(mean: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
    return mean + 9 / (count + 9) * (new - mean)


def of_torch(model: nn.Module) -> AveragedModel:
    """The average of earlier versions."""
    return AveragedModel(model, avg_fn=polynomial_decay, use_buffers=True)


def test_the_average_weighs_late_weights_most_and_all_in_the_end():
    """Polynomial-decay averaging: after t steps the k-th counts as k^8, about."""
    line = nn.Linear(1, 1, bias=False).double()
    average = AveragedWeights(line)
    for k in range(1, 201):
        line.weight.data.fill_(float(k))
        average.update(line)
    # Exactly (k + 7)! / (k - 1)!.
    weights = [math.prod(range(k, k + 8)) for k in range(1, 201)]
    expected = sum(k * w for k, w in zip(range(1, 201), weights, strict=True)) / sum(weights)
    assert average.module.weight.item() == pytest.approx(expected)


def test_the_first_update_takes_the_weights_exactly_and_integers_are_copied(generator):
    model = network()
    model[0].weight.data *= 1e6  # of which a difference would lose digits
    average = AveragedWeights(model)
    model[0].weight.data.fill_(0.1)
    average.update(trained(model, generator))
    wanted = model.state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in average.module.state_dict().items())
    average.update(trained(model, generator))
    assert average.module[1].num_batches_tracked == model[1].num_batches_tracked == 2
    assert int(average.n_averaged) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_average_of_earlier_versions_goes_on_bit_for_bit(dtype, generator):
    model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3)).to(dtype)
    former, average = of_torch(model), AveragedWeights(model)
    for _ in range(5):
        former.update_parameters(trained(model, generator))
    average.load_state_dict(former.state_dict())
    assert list(average.state_dict()) == list(former.state_dict())
    for _ in range(20):
        former.update_parameters(trained(model, generator))
        average.update(model)
    wanted = former.state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in average.state_dict().items())


def test_an_update_takes_few_operations_and_never_waits_for_the_device():
    """A count on the CPU was copied once per weight: 42 small kernels and 7 waits per epoch."""
    model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(20)))
    average = AveragedWeights(model)
    with Recorded() as recorded:
        average.update(model)
        average.update(model)
    assert len(recorded.names) <= 2 * 9
    waits = ("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "_to_copy")
    assert not {name.split(".")[0] for name in recorded.names} & set(waits)


def test_the_count_is_on_the_device_of_the_weights():
    with torch.device("meta"):
        model = nn.Linear(3, 3)
    average = AveragedWeights(model)
    average.update(model)
    assert {tensor.device.type for tensor in average.state_dict().values()} == {"meta"}


@pytest.mark.gpu
def test_updates_are_recorded_as_a_cuda_graph(generator):
    device = torch.device("cuda")
    model = network()
    average, expected = AveragedWeights(model.to(device)), AveragedWeights(model)
    source = [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
    average.update(model)  # allocates
    average.load_state_dict(expected.state_dict())
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        average.update(model)
    for _ in range(3):
        for tensor in source:
            tensor.add_(1)
        graph.replay()
        expected.update(model)
    torch.testing.assert_close(dict(average.state_dict()), dict(expected.state_dict()))

from itertools import islice

import pytest
import torch

from vgae.decoders import InnerProductDecoder
from vgae.encoders import GCNEncoder
from vgae.errors import UsageError
from vgae.recipes.base import Training
from vgae.runtime.devices import Compute
from vgae.training.loop import epochs
from vgae.training.prepared import PreparedTraining, Problem
from vgae.vae import VAE


def test_epochs_is_plain_gradient_descent_on_the_elbo(two_cliques, generator):
    """Three epochs equal three steps written out by hand."""
    models = [
        VAE(
            GCNEncoder(12, 4, 2, generator=torch.Generator().manual_seed(1)), InnerProductDecoder()
        )
        for _ in range(2)
    ]
    x, edges = two_cliques.x, two_cliques.edge_index
    optimizer = torch.optim.SGD(models[0].parameters(), lr=0.1)
    noise = torch.Generator().manual_seed(2)
    loop = epochs(models[0], optimizer, (x, edges), edges, beta=0.5, num_items=66, generator=noise)
    seen = list(islice(loop, 3))

    noise = torch.Generator().manual_seed(2)
    for epoch in seen:
        terms = models[1]((x, edges), edges, noise)
        loss = -(terms.log_likelihood - 0.5 * terms.kl) / 66
        grads = torch.autograd.grad(loss, list(models[1].parameters()))
        with torch.no_grad():
            for parameter, grad in zip(models[1].parameters(), grads, strict=True):
                parameter -= 0.1 * grad
        assert epoch.loss == loss
        assert not epoch.loss.requires_grad
    assert [epoch.number for epoch in seen] == [1, 2, 3]
    for left, right in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(left, right)


def test_an_epoch_of_several_steps_takes_them_all_and_sums_them_up(two_cliques, generator):
    """Two steps an epoch, each on the whole: the loss of an epoch is their mean."""
    x, edges = two_cliques.x, two_cliques.edge_index
    losses = {}
    for num_steps in (1, 2):
        torch.manual_seed(0)
        model = VAE(GCNEncoder(12, 4, 2), InnerProductDecoder())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        pairs = [((x, edges), edges)] * num_steps
        loop = epochs(
            model,
            optimizer,
            (x, edges),
            edges,
            num_items=66 * num_steps,
            generator=torch.Generator().manual_seed(2),
            steps=lambda *_, pairs=pairs: pairs,
        )
        losses[num_steps] = [epoch.loss.item() for epoch in islice(loop, 4)]
    expected = [sum(losses[1][k : k + 2]) / 2 for k in (0, 2)]
    assert losses[2][:2] == pytest.approx(expected)


@pytest.mark.parametrize("settings", [{"warmup": 3}, {"optimizer": "adagrad"}])
def test_what_changes_from_epoch_to_epoch_is_not_replayed(settings):
    model = VAE(GCNEncoder(12, 4, 2), InnerProductDecoder())
    with pytest.raises(UsageError, match="not a warmup or adagrad"):
        PreparedTraining(
            model=model,
            problem=Problem((), None, 1),
            recipe=Training(name="t", **settings),
            seed=0,
            compute=Compute(cuda_graph=True),
            identity={},
        )

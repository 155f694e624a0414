"""The training loop as an iterator: one epoch of gradient steps on the ELBO at a time."""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vgae.models.embedding import parameter_like
from vgae.runtime.processes import Team
from vgae.runtime.streams import RowNoise, Rows
from vgae.training.cuda_graph import Replayed
from vgae.vae import VAE

Steps = Callable[[Any, Any], Collection[tuple[Sequence[Any], Any]]]


class Epoch(NamedTuple):
    """One pass over the data: tensors of shape ``()``, not yet fetched from a GPU.

    Attributes:
        number: Number of the epoch, from 1.
        loss: ``(recon + beta * kl) / num_items``, which is minimised.
        recon: Sum of the decoder's ``log_prob``, with its weights and the opposite sign.
        kl: Sum of the KL divergence, in nats.
    """

    number: int
    loss: Tensor
    recon: Tensor
    kl: Tensor


class Summed(NamedTuple):
    """What each process computes for its own rows only, to be added up in each step.

    Attributes:
        team: The processes.
        parameters: Parameters whose gradients are of the own rows.
        terms: Whether the terms of the ELBO are of the own rows, too.
        rows: The own rows of the posterior, if it is of those alone.
    """

    team: Team
    parameters: Sequence[nn.Parameter]
    terms: bool = False
    rows: Rows | None = None

    def gradients(self) -> None:
        """Add up the gradients."""
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.team.sum_([p.grad for p in self.parameters if p.grad is not None])


def epochs(
    model: VAE,
    optimizer: torch.optim.Optimizer,
    inputs: Sequence[Any],
    target: Any,
    *,
    beta: float | Callable[[int], float] = 1.0,
    num_items: int = 1,
    generator: torch.Generator | None = None,
    steps: Steps | None = None,
    after: Callable[[], object] | None = None,
    summed: Summed | None = None,
) -> Iterator[Epoch]:
    """Train without end, one full pass per iteration; the caller's loop is the callback.

    On a GPU with an optimizer of ``capturable=True``, the fourth epoch is recorded as a CUDA graph
    and replayed from then on, with the ``beta`` of the first epoch; see
    :class:`vgae.training.cuda_graph.Replayed`.

    Args:
        model: Model to train, in place.
        optimizer: Optimizer of the parameters of ``model``.
        inputs: Arguments of the encoder, ``(x, edge_index)`` for a graph.
        target: Target of the decoder, ``edge_index`` for a graph.
        beta: Weight of the KL divergence, or a function of the number of the epoch.
        num_items: Divisor of the ELBO, which is summed over an epoch, in the loss.
        generator: Source of the noise of the samples.
        steps: Receives ``inputs`` and ``target`` in each epoch and returns the pairs to use
            instead, one step of the optimizer each, such as a
            :class:`vgae.training.masking.LinkMasking` or
            :class:`vgae.training.images.ImageBatches`.
        after: Called at the end of each epoch, as part of it, such as for an average of weights.
        summed: What several processes add up in each step, if they divide its rows.

    Yields:
        The epoch, after its steps.
    """
    noise: Any = generator
    if generator is not None and summed is not None and summed.rows is not None:
        noise = RowNoise(generator, summed.rows)

    def epoch(weight: float) -> Tensor:
        pairs = [(inputs, target)] if steps is None else steps(inputs, target)
        rate, done = -len(pairs) / num_items, []  # loss of a step per nat of its ELBO
        for given, wanted in pairs:
            optimizer.zero_grad(set_to_none=True)
            terms = model(given, wanted, noise)
            elbo = terms.elbo(weight)
            elbo.backward(torch.full_like(elbo, rate))
            if summed is not None:
                summed.gradients()
            optimizer.step()
            done.append([term.detach() for term in (elbo, *terms)])
        if after is not None:
            after()
        sums = (torch.stack(v).sum() if len(done) > 1 else v[0] for v in zip(*done, strict=True))
        elbo, log_likelihood, kl = sums
        found = torch.stack([elbo / -num_items, -log_likelihood, kl])
        if summed is not None and summed.terms:
            summed.team.sum_([found])
        return found

    weight = beta if callable(beta) else lambda _: beta
    replayed, device = None, parameter_like(model).device
    if device.type == "cuda" and optimizer.defaults.get("capturable"):
        parts = (getattr(part, "generator", None) for part in (*model.children(), steps))
        drawn_from = [g for g in (generator, *parts) if g is not None]
        replayed = Replayed(partial(epoch, weight(1)), drawn_from, device)
    for number in count(1):
        model.train()
        yield Epoch(number, *(replayed() if replayed else epoch(weight(number))))

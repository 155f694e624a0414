"""Variational auto-encoder and the protocols of its encoder, decoder and posterior."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from vgae.errors import UsageError
from vgae.gaussian import DiagGaussian

_MARK = "_trained_on"


class Posterior(Protocol):
    """Distribution over latent vectors, the result of an encoder."""

    @property
    def mu(self) -> Tensor:
        """Mean, shape ``(*, d)``."""
        ...

    def rsample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw one differentiable sample per latent vector, shape ``(*, d)``."""
        ...

    def kl(self) -> Tensor:
        """Return the KL divergence to the prior in nats per latent vector, shape ``(*,)``."""
        ...


class Encoder(Protocol):
    """Map from inputs to a posterior: any ``nn.Module`` of this form.

    A graph encoder may also have ``prepare(x, edge_index)``, called once before training, which
    returns a faster form of the two for all later calls of the encoder.
    """

    def __call__(self, *inputs: Any) -> Posterior:
        """Infer the posterior."""
        ...


class Decoder(Protocol):
    """Score of a target given a sample: any ``nn.Module`` of this form.

    A decoder of links may also have ``prepare(edge_index, num_nodes)``, called once before
    training, which returns a faster form of the target.
    """

    def log_prob(self, z: Tensor, target: Any, /) -> Tensor:
        """Return the log-likelihood of ``target`` in nats, of any shape; its sum is used."""
        ...


class LinkDecoder(Decoder, Protocol):
    """Decoder of links, which also scores single pairs for :func:`vgae.evaluate`.

    A decoder may also have ``factors(z)``, which returns left and right of shape ``(N, k)`` such
    that the logit of pair (u, v) is left[u] . right[v]; all pairs are then scored by matrix
    products. A subclass that overrides ``logits`` overrides ``factors`` too, or has none.
    """

    def logits(self, z: Tensor, edge_label_index: Tensor) -> Tensor:
        """Score given pairs, shape ``(2, P)``, before the sigmoid, shape ``(P,)``."""
        ...


class ElboTerms(NamedTuple):
    """The two terms of the evidence lower bound, both summed, in nats."""

    log_likelihood: Tensor
    kl: Tensor

    def elbo(self, beta: float = 1.0) -> Tensor:
        """Return ``log_likelihood - beta * kl``, shape ``()``; larger is better."""
        return torch.sub(self.log_likelihood, self.kl, alpha=beta)


def check_instance(argument: str, module: object) -> None:
    """Raise ``UsageError`` if an encoder or decoder is a class instead of an instance.

    Args:
        argument: Name of the argument for the message: ``"decoder of vgae.VAE"``.
        module: Its value.
    """
    if isinstance(module, type):
        name = module.__name__
        raise UsageError(
            "MODEL", f"{argument} must be an instance, got the class {name}; pass {name}(...)."
        )


class VAE(nn.Module):
    r"""Variational auto-encoder: an encoder and a decoder under a standard normal prior.

    .. math:: \log p(x) \ge E_{q(z|x)}[\log p(x|z)] - KL(q(z|x) \,\|\, p(z))

    Source: Kingma & Welling (2014), `Auto-Encoding Variational Bayes
    <https://arxiv.org/abs/1312.6114>`_, equation 3; for graphs Kipf & Welling (2016),
    `Variational Graph Auto-Encoders <https://arxiv.org/abs/1611.07308>`_, equation 3.

    Args:
        encoder: Module that returns a posterior, such as :class:`vgae.GCNEncoder`.
        decoder: Module with ``log_prob(z, target)``, such as :class:`vgae.InnerProductDecoder`.

    Raises:
        UsageError: If one of them is a class instead of an instance.

    Attributes:
        trained_on: Digest of each set of training links that the weights come from
            (:attr:`vgae.LinkSplit.train_digest`), so that no split is evaluated whose held-out
            links they have seen. :func:`vgae.fit` adds to it. The encoder holds it, and
            ``state_dict()`` carries it to ``load_state_dict``. Empty for new weights, and where it
            is not known, as after loading a plain dict.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        check_instance("encoder of vgae.VAE", encoder)
        check_instance("decoder of vgae.VAE", decoder)
        self.encoder = encoder
        self.decoder = decoder
        if isinstance(encoder, nn.Module) and not hasattr(encoder, _MARK):
            setattr(encoder, _MARK, ())
            encoder.register_state_dict_post_hook(_keep_mark)
            encoder.register_load_state_dict_pre_hook(_add_mark)

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Digests of the training links; see the class."""
        return getattr(self.encoder, _MARK, ())

    @trained_on.setter
    def trained_on(self, digests: tuple[str, ...]) -> None:
        setattr(self.encoder, _MARK, tuple(dict.fromkeys(digests)))

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **options: Any) -> Any:
        """Load weights as :meth:`torch.nn.Module.load_state_dict`, and where they come from."""
        result = super().load_state_dict(state_dict, *args, **options)
        metadata = getattr(state_dict, "_metadata", {}).get("encoder", {})
        if not result.missing_keys:  # nothing is left of the weights before
            self.trained_on = metadata.get(_MARK, self.trained_on)
        return result

    def forward(
        self, inputs: Sequence[Any], target: Any, generator: torch.Generator | None = None
    ) -> ElboTerms:
        """Estimate both terms with one sample of the posterior.

        Args:
            inputs: Inputs of the encoder: ``(x, edge_index)`` for a graph, ``(x,)`` for images.
            target: Target of the decoder: edges, or the images themselves.
            generator: Source of the noise of the sample.
        """
        q: Posterior = self.encoder(*inputs)
        # Not a subclass, which may have methods of its own.
        if isinstance(q, DiagGaussian) and type(q) is DiagGaussian:
            z, kl = q.rsample_with_kl(generator)
        else:
            z, kl = q.rsample(generator), q.kl().sum()
        nats = self.decoder.log_prob(z, target)
        return ElboTerms(nats.sum() if nats.dim() else nats, kl)


# In the metadata of a state dict, as its keys are those of the files.
def _keep_mark(encoder: nn.Module, _: Any, __: str, metadata: dict[str, Any]) -> None:
    metadata[_MARK] = getattr(encoder, _MARK)


def _add_mark(encoder: nn.Module, _: Any, __: str, metadata: dict[str, Any], *___: object) -> None:
    digests = (*getattr(encoder, _MARK), *metadata.get(_MARK, ()))
    setattr(encoder, _MARK, tuple(dict.fromkeys(digests)))

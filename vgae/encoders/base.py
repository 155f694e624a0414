"""Base class of the graph encoders that can be named, saved and masked."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from vgae.errors import DataError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.recipes.graphs import Recipe
from vgae.runtime.mapped import is_mapped, row_blocks


class GraphEncoder(nn.Module):
    r"""Graph encoder that is built from a recipe and rebuilt from its configuration.

    A subclass has ``forward(x, edge_index, edge_weight=None)``, which returns a posterior,
    :meth:`from_recipe` and :meth:`config`. Registered as a model (:mod:`vgae.models.registry`),
    it is then available to ``vgae train --model``, :func:`vgae.fit`, masks, saving, prediction
    and pages. ``examples/own_encoder.py`` has one.

    Args:
        in_channels: Columns of ``x``; without features, the number of nodes.
        latent_channels: Width d of the latent vectors.
        posterior: :class:`~vgae.DiagGaussian`, or :class:`~vgae.PointMass` for a plain
            auto-encoder.

    Attributes:
        generator: Source of dropout, on the device of ``x``; ``None`` is torch's default.
            :func:`vgae.fit` lends one during training.
        feature_scale: Factor of each column of ``x``, shape ``(in_channels,)``, stored with the
            weights and set by ``load_state_dict``; ``None`` leaves the features as they are.
            ``forward`` applies it (:meth:`scaled`).
        feature_names: Name of each column of ``x``, if known; :func:`vgae.fit` sets them,
            :func:`vgae.embed` compares them.
        model_name: Name of the model that it was built for; empty if it was built alone.
    """

    directed: ClassVar[bool] = False
    """Whether the edges of a directed graph keep their direction, from source to target; other
    encoders get each of them in both directions."""

    takes_signs: ClassVar[bool] = False
    """Whether its layers can have ``signed`` set, so that weights of messages may be negative."""

    reads_mapped: ClassVar[bool] = False
    """Whether it reads features that stay in a file in blocks of rows, so that they need not be on
    its device, nor in its precision."""

    state_names: ClassVar[Mapping[str, str]] = {}
    """Names of parameters in files, by their names in the module, in the order of the files."""

    def __init__(
        self,
        in_channels: int,
        latent_channels: int,
        posterior: type[DiagGaussian] | type[PointMass] = DiagGaussian,
    ) -> None:
        super().__init__()
        self.in_channels, self.latent_channels = in_channels, latent_channels
        self.posterior = posterior
        self.generator: torch.Generator | None = None
        self.feature_scale: Tensor | None
        self.register_buffer("feature_scale", None)
        self.feature_names: tuple[str, ...] = ()
        self.model_name = ""
        self.register_state_dict_post_hook(_to_files)
        self.register_load_state_dict_pre_hook(_from_files)

    @classmethod
    def from_recipe(
        cls,
        recipe: Recipe,
        in_channels: int,
        *,
        posterior: type[DiagGaussian] | type[PointMass],
        generator: torch.Generator | None = None,
    ) -> Self:
        """Build an encoder with fresh weights.

        Args:
            recipe: Settings.
            in_channels: As for the class.
            posterior: As for the class.
            generator: Source of the initial weights.
        """
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return the fields of the recipe that rebuild the encoder, as plain values.

        Other keys are passed to :meth:`from_recipe` as keyword arguments.
        """
        raise NotImplementedError

    @classmethod
    def widths(cls, recipe: Recipe, num_heads: int) -> Sequence[int]:
        """Return the columns of each layer's output, by which memory is predicted.

        Args:
            recipe: Settings of the encoder.
            num_heads: Heads of the posterior: 2 with log sigma, else 1.
        """
        return [recipe.hidden_channels, num_heads * recipe.latent_channels]

    def prepare(
        self,
        x: Tensor | None,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        *,
        masked: bool = False,  # noqa: ARG002 - the same for both
    ) -> tuple[Any, ...]:
        """Convert the arguments of ``forward`` once, before training or evaluation.

        Args:
            x: Node features, dense or sparse CSR, or ``None``.
            edge_index: Both directions of every edge, or one if ``directed``, shape ``(2, E)``.
            edge_weight: Weight of each edge, shape ``(E,)``.
            masked: Whether ``forward`` will receive other edges in each epoch.
        """
        x = None if x is None else x.to_dense()
        return (x, edge_index) if edge_weight is None else (x, edge_index, edge_weight)

    def scaled(self, x: Tensor) -> Tensor:
        """Return dense features with each column multiplied by ``feature_scale``.

        Raises:
            DataError: If the width of ``x`` is not that of the encoder.
        """
        if x.shape[-1] != self.in_channels:
            raise DataError(
                "FEATURE_DIM_MISMATCH",
                f"x must have {self.in_channels} columns, as this encoder was built for,"
                f" got shape {tuple(x.shape)}.",
            )
        return x if self.feature_scale is None else x * self.feature_scale


def feature_scale(x: Tensor) -> Tensor:
    r"""Return a factor per column that brings features of any units to a common scale.

    .. math:: s_j = c / \max_i |x_{ij}|, \quad
        c: \tfrac{1}{N} \sum_i \| (s_j x_{ij})_j \|^2 = 16

    Binary features keep their values, up to the factor c. The factor of a column of zeros is 0.

    Args:
        x: Node features, dense or sparse CSR, shape ``(N, F)``.

    Returns:
        float32, shape ``(F,)``.
    """
    if x.layout == torch.sparse_csr:
        column, value = x.col_indices().long(), x.values().double()
        zeros = value.new_zeros(x.shape[1])
        top = zeros.scatter_reduce(0, column, value.abs(), "amax")
        squares = zeros.index_add(0, column, value.square())
    elif is_mapped(x):
        top, squares = torch.zeros(2, x.shape[1], dtype=torch.float64)
        for _, rows in row_blocks(x):
            top = torch.maximum(top, rows.abs().amax(dim=0).double())
            squares += rows.square().sum(dim=0, dtype=torch.float64)
    else:
        top, squares = x.abs().amax(dim=0).double(), x.square().sum(dim=0, dtype=torch.float64)
    scale = torch.where(top > 0, 1 / top, 0)
    square = (squares * scale.square()).sum() / max(x.shape[0], 1)
    return (scale * (16 / square).sqrt() if square > 0 else scale).float()


def _to_files(module: nn.Module, state: dict[str, Any], prefix: str, _: object) -> None:
    for own, stored in type(module).state_names.items():  # pyright: ignore[reportAttributeAccessIssue]
        if prefix + own in state:
            state[prefix + stored] = state.pop(prefix + own)


def _from_files(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    scale = state.get(prefix + "feature_scale")
    if isinstance(scale, Tensor) and module.feature_scale is None:
        # A new encoder has none; its weights give the precision and the device.
        like = next(module.parameters(), scale)
        module.feature_scale = like.new_ones(module.in_channels)  # pyright: ignore
    for own, stored in type(module).state_names.items():  # pyright: ignore[reportAttributeAccessIssue]
        if prefix + stored in state:
            state[prefix + own] = state.pop(prefix + stored)

"""Models that are code of the user: imported by the path ``package.module:name``, when named.

Nothing in a file makes this package import a module. :func:`use_code` does, with a path that a
person has written; a run of such a model is then opened like any other.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from vgae.encoders.base import GraphEncoder
from vgae.encoders.pyg import PosteriorEncoder
from vgae.errors import DataError, UsageError, VgaeError
from vgae.gaussian import DiagGaussian, PointMass
from vgae.models.registry import OWN, GraphModel, Posterior
from vgae.recipes import Recipe

_PATH = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
_TRIED = 8  # features of the first call, as in vgae.testing


def is_code(name: str) -> bool:
    """Return whether the name of a model is a path to code: ``"package.module:name"``."""
    return ":" in name


def use_code(path: str) -> GraphModel:
    """Import a model of your own, so that its name can be used in this process.

    The name is the path: ``vgae.fit(graph, split, model="gat:make")``. It is needed before a run
    of such a model is loaded, because no file makes this package import a module.

    Args:
        path: ``"package.module:name"`` of a module in the current folder, or an installed one.
            The name is that of a function from the number of features to an encoder, as for
            :func:`vgae.testing.check_graph_model`, which sets its own widths; of a class derived
            from :class:`~vgae.encoders.base.GraphEncoder`, which takes those of the recipe; or of
            a :class:`~vgae.models.registry.GraphModel`, which may have a decoder of your own.

    Raises:
        UsageError: ``CODE`` if it cannot be imported, or is none of these.
    """
    if not isinstance(path, str) or not re.fullmatch(_PATH, path):
        rule = "code must be package.module:name, such as gat:make for make in gat.py"
        raise UsageError("CODE", f"{rule}, got {path!r:.80}.")
    if path not in OWN:
        OWN[path] = _model_of(path, _imported(path))
    return OWN[path]


def _imported(path: str) -> Any:
    """Import the module, which may lie in the current folder, and return what the path names."""
    module, _, name = path.partition(":")
    with _current_folder_first():
        try:
            found = import_module(module)
        except (Exception, SystemExit) as error:  # whatever the module raises
            what = [*str(error).splitlines(), ""][0].rstrip(".")
            where = f"; {module.partition('.')[0]}.py must be in the current folder or installed"
            hint = where if isinstance(error, ModuleNotFoundError) else ""
            said = f"{type(error).__name__}: {what}{hint}"
            raise UsageError("CODE", f"{path} cannot be imported ({said}).") from error
    try:
        return getattr(found, name)
    except AttributeError:
        where = getattr(found, "__file__", module)
        raise UsageError("CODE", f"{path}: {where} has no {name}.") from None


@contextmanager
def _current_folder_first() -> Iterator[None]:
    """Find modules in the current folder first; later imports find them there last."""
    here = str(Path.cwd())
    had_it = here in sys.path or "" in sys.path
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
        if not had_it:
            sys.path.append(here)


def _model_of(path: str, found: Any) -> GraphModel:
    """Return the model of an encoder, a function that makes one, or a model."""
    if isinstance(found, GraphModel):
        for part in ("encoder_class", "decoder_class"):  # classes by name are imported
            getattr(found, part)
        return found
    if isinstance(found, type) and issubclass(found, GraphEncoder):
        return GraphModel(f"model of {path}", found)
    if not callable(found):
        rule = "a function from the number of features to an encoder, or a GraphModel"
        raise UsageError("CODE", f"{path} must be {rule}, got {type(found).__name__}.")
    q, returns_heads = _tried(path, found)
    fields = {"path": path, "make": staticmethod(found), "returns_heads": returns_heads}
    encoder = type("OwnEncoder", (OwnEncoder,), {**fields, "width": q.mu.shape[1]})
    kind: Posterior = "point" if isinstance(q, PointMass) else "gaussian"
    return GraphModel(f"model of {path}", encoder, kind)


def _tried(path: str, make: Callable[[int], Any]) -> tuple[DiagGaussian | PointMass, bool]:
    """Call a function and its encoder once, on four nodes.

    Returns:
        The posterior, and whether the encoder returns its heads instead, as for PyG.
    """
    x = torch.ones(4, _TRIED)
    edge_index = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            encoder = _made(path, make, _TRIED).eval()
            q = encoder(x, edge_index)
            returns_heads = isinstance(q, (Tensor, tuple, list))
            q = PosteriorEncoder(encoder)(x, edge_index) if returns_heads else q
    except VgaeError:
        raise
    except Exception as error:
        what = [*str(error).splitlines(), ""][0].rstrip(".")
        raise UsageError(
            "CODE",
            f"{path}({_TRIED}), for {_TRIED} features, fails ({type(error).__name__}: {what});"
            f" python -m vgae.testing {path} shows what an encoder must do.",
        ) from error
    if not isinstance(q, DiagGaussian | PointMass):
        rule = "mu, (mu, logstd), a vgae.DiagGaussian or a vgae.PointMass"
        got = f"got {type(q).__name__}"
        raise UsageError("CODE", f"the encoder of {path} must return {rule}, {got}.")
    if len(q.mu) != len(x):
        rule = f"the encoder of {path} must return a vector for each node"
        raise UsageError("CODE", f"{rule}, got {len(q.mu)} for {len(x)} nodes.")
    return q, returns_heads


def _made(path: str, make: Callable[[int], Any], in_channels: int) -> nn.Module:
    """Return a new encoder."""
    found = make(in_channels)
    if hasattr(found, "decoder") and hasattr(found, "encoder"):
        rule = "returns a whole model; return its encoder, or name a GraphModel with the decoder"
        raise UsageError("CODE", f"{path} {rule} (vgae.models.registry.GraphModel).")
    if not isinstance(found, nn.Module):
        rule = "must return an encoder, a torch.nn.Module"
        raise UsageError("CODE", f"{path} {rule}, got {type(found).__name__}.")
    return found


class OwnEncoder(GraphEncoder):
    """Encoder that a function of the user makes; :func:`use_code` derives a class for each.

    Attributes:
        path: Path of the function.
        make: The function, from the number of features to an encoder.
        returns_heads: Whether the encoder returns mu or ``(mu, logstd)`` instead of a posterior.
        width: Width of its latent vectors.
    """

    path: ClassVar[str]
    make: ClassVar[Callable[[int], Any]]
    returns_heads: ClassVar[bool]
    width: ClassVar[int]

    def __init__(self, in_channels: int, posterior: Any) -> None:
        super().__init__(in_channels, self.width, posterior)
        made = _made(self.path, type(self).make, in_channels)
        self.own = PosteriorEncoder(made) if self.returns_heads else made

    @classmethod
    def from_recipe(
        cls,
        recipe: Recipe,  # noqa: ARG003 - the function sets its own widths
        in_channels: int,
        *,
        posterior: type[DiagGaussian] | type[PointMass],
        generator: torch.Generator | None = None,
    ) -> Self:
        """Call the function, with torch's own generator seeded for its initial weights."""
        with torch.random.fork_rng(devices=[]):
            if generator is not None:
                draw: Any = {"generator": generator, "device": generator.device}
                torch.manual_seed(int(torch.randint(2**62, (), **draw)))
            return cls(in_channels, posterior)

    def config(self) -> dict[str, Any]:
        """Return the width of the latent vectors; the function has all other settings."""
        return {"latent_channels": self.latent_channels}

    @classmethod
    def widths(cls, recipe: Recipe, num_heads: int) -> Sequence[int]:
        """Return the columns of each layer's output, that of the hidden layer as in the recipe."""
        return [recipe.hidden_channels, num_heads * cls.width]

    def prepare(
        self,
        x: Tensor | None,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        *,
        masked: bool = False,
    ) -> tuple[Any, ...]:
        """Convert the features to dense ones; the encoder must take weights, if there are any."""
        given = super().prepare(x, edge_index, edge_weight, masked=masked)
        inner = self.own.encoder if isinstance(self.own, PosteriorEncoder) else self.own
        try:
            signature(inner.forward).bind(*given)
        except TypeError as error:
            names = ", ".join(("x", "edge_index", "edge_weight")[: len(given)])
            rule = f"the encoder of {self.path} must take ({names}) for this graph"
            raise UsageError("ENCODER", f"{rule}: {error}.") from None
        return given

    def forward(self, x: Tensor | None, *edges: Any) -> DiagGaussian | PointMass:
        """Infer the posterior of every node."""
        if x is None:
            raise DataError(
                "NO_FEATURES",
                f"the graph has no features, and {self.path} makes an encoder of features; give"
                " features (--features FILE), or train another model, such as vgae.",
            )
        return self.own(self.scaled(x), *edges)

"""Registry of the graph models: the names that ``vgae train --model`` and ``vgae.fit`` take.

A model is an encoder, its posterior and a decoder. The registry holds names of classes, which are
imported when a model is built, so that reading it is instant.
"""

import logging
import pkgutil
import re
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal

from vgae.errors import UsageError, check_choice, did_you_mean
from vgae.recipes import RECIPES

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from vgae.decoders.base import GraphDecoder
    from vgae.encoders.base import GraphEncoder
    from vgae.graphs.graph import Graph

_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
ENTRY_POINTS = "vgae.models"
"""Group of the entry points by which other packages register models: name = module:attribute,
where the attribute is a :class:`GraphModel`."""


Posterior = Literal["gaussian", "point"]
_DIRECTED = "vgae.encoders.directed:DirectedGCNEncoder"
_SOURCE_TARGET = "vgae.decoders.source_target:SourceTargetDecoder"
_GRAVITY = "vgae.decoders.gravity:GravityDecoder"


@dataclass(frozen=True)
class GraphModel:
    """Parts of a graph model.

    Attributes:
        title: Name in sentences, such as ``"variational graph auto-encoder"``.
        encoder: A :class:`~vgae.encoders.base.GraphEncoder`, or ``"module:Class"``.
        posterior: ``"gaussian"``, or ``"point"`` for a plain auto-encoder.
        decoder: A :class:`~vgae.decoders.base.GraphDecoder`, or ``"module:Class"``.
    """

    title: str
    encoder: "str | type[GraphEncoder]"
    posterior: Posterior = "gaussian"
    decoder: "str | type[GraphDecoder]" = "vgae.decoders:InnerProductDecoder"

    def __post_init__(self) -> None:
        check_choice("posterior", self.posterior, Posterior)

    @property
    def encoder_class(self) -> "type[GraphEncoder]":
        """Class of the encoder."""
        return _loaded(self.encoder, "vgae.encoders.base:GraphEncoder")

    @property
    def decoder_class(self) -> "type[GraphDecoder]":
        """Class of the decoder."""
        return _loaded(self.decoder, "vgae.decoders.base:GraphDecoder")


MODELS: dict[str, GraphModel] = {
    "vgae": GraphModel("variational graph auto-encoder", "vgae.encoders:GCNEncoder"),
    "gae": GraphModel("graph auto-encoder", "vgae.encoders:GCNEncoder", "point"),
    "linear-vgae": GraphModel(
        "linear variational graph auto-encoder", "vgae.encoders:LinearGCNEncoder"
    ),
    "linear-gae": GraphModel(
        "linear graph auto-encoder", "vgae.encoders:LinearGCNEncoder", "point"
    ),
    "sage": GraphModel("variational GraphSAGE auto-encoder", "vgae.encoders.sage:SAGEEncoder"),
    "source-target-vgae": GraphModel(
        "source-target variational graph auto-encoder", _DIRECTED, decoder=_SOURCE_TARGET
    ),
    "source-target-gae": GraphModel(
        "source-target graph auto-encoder", _DIRECTED, "point", _SOURCE_TARGET
    ),
    "gravity-vgae": GraphModel(
        "gravity-inspired variational graph auto-encoder", _DIRECTED, decoder=_GRAVITY
    ),
    "gravity-gae": GraphModel("gravity-inspired graph auto-encoder", _DIRECTED, "point", _GRAVITY),
}
AUTO = "auto"
"""Name that stands for the model of :func:`model_for`."""

_TYPED = "vgae.encoders.rgcn:RGCNEncoder", "vgae.decoders:DistMultDecoder"
TYPED_MODELS: dict[str, GraphModel] = {
    "rgcn-vgae": GraphModel(
        "relational variational graph auto-encoder", _TYPED[0], decoder=_TYPED[1]
    ),
    "rgcn-gae": GraphModel("relational graph auto-encoder", _TYPED[0], "point", _TYPED[1]),
}
"""Models of typed graphs, which have several relations."""

OWN: dict[str, GraphModel] = {}
"""Models that are code of the user, by their paths: filled by :func:`vgae.use_code` alone."""


def register_model(name: str, model: GraphModel) -> None:
    """Add a model to the registry of this process.

    Raises:
        UsageError: If another model has the name, or it is not letters, digits, ``-``, ``_``.
    """
    valid = isinstance(name, str) and re.fullmatch(_NAME, name)
    if not valid or not isinstance(model, GraphModel):
        raise UsageError(
            "MODEL",
            f"a model is a GraphModel, named by letters, digits, - and _; got {name!r:.60}.",
        )
    if name in TYPED_MODELS or MODELS.setdefault(name, model) != model:
        raise UsageError("MODEL", f"there is a model {name!r} already; choose another name.")


def model_names() -> list[str]:
    """Return the names of all models, those of installed packages last."""
    others = sorted(entry_points(group=ENTRY_POINTS).names)
    others = [name for name in others if re.fullmatch(_NAME, name)]
    return [*dict.fromkeys([*MODELS, *TYPED_MODELS, *others])]


def graph_model(name: str) -> GraphModel:
    """Return a model by name; those of other packages are found by their entry points.

    Raises:
        UsageError: If there is none of that name, or its entry point cannot be loaded.
    """
    if found := MODELS.get(name) or TYPED_MODELS.get(name) or OWN.get(name):
        return found
    if re.fullmatch(r"[\w.]+:\w+", name):
        raise UsageError(
            "CODE",
            f"model {name:.80} is code outside this package, which is imported only if you name"
            f" it: if you trust that module, add --code {name:.80}, or call"
            f" vgae.use_code({name[:80]!r}).",
        )
    for entry in entry_points(group=ENTRY_POINTS, name=name) if name in model_names() else ():
        try:
            found = entry.load()
        except Exception as error:  # whatever the package raises when it is imported
            raise UsageError("MODEL", f"model {name!r} ({entry.value}): {error}.") from error
        if not isinstance(found, GraphModel):
            raise UsageError("MODEL", f"model {name!r}: {entry.value} must be a GraphModel.")
        return found
    what = f"no model {name!r:.80}; there are {', '.join(model_names())}."
    if name in RECIPES:
        what = f"{name!r} is a recipe, not a model; give --recipe {name}, or --recipes {name},..."
        raise UsageError("MODEL", f"{what} for several (recipe=, recipes=).")
    raise UsageError("MODEL", what + did_you_mean(name, model_names()))


def model_for(graph: "Graph", name: str = AUTO) -> str:
    """Return the name of a model, for ``"auto"`` the one for the kind of graph.

    It is ``"source-target-vgae"`` for a directed graph, which is logged, and ``"vgae"`` for
    others.

    Raises:
        UsageError: If the model predicts directed links, and the graph has none.
    """
    if name == AUTO and graph.directed:
        log.info("model auto: %s is directed, so the model is source-target-vgae", graph)
        return "source-target-vgae"
    if name == AUTO:
        return "vgae"
    check_direction(graph_model(name).decoder_class, graph, f"model {name!r}")
    return name


def check_direction(decoder: object, graph: "Graph", name: str) -> None:
    """Raise ``UsageError`` if a decoder, or its class, is for directed graphs and a graph is not.

    ``name`` is that of the model or decoder in the message.
    """
    if getattr(decoder, "directed", False) and not graph.directed:
        raise UsageError(
            "MODEL",
            f"{name} predicts the direction of links, and {graph.name} has none; read it with"
            " directed='keep' (--directed keep), or train another model, such as 'vgae'.",
        )


def name_of(encoder: Any, posterior: str, decoder: Any, first: str = "") -> str:
    """Return the name of the model of these classes; ``first`` if it is one of several.

    Raises:
        UsageError: If none is registered.
    """
    for name in [first, *model_names()] if first else model_names():
        try:
            model = graph_model(name)
            parts = (model.encoder_class, model.posterior, model.decoder_class)
        except UsageError as error:  # a broken package must not keep others from being saved
            log.warning("%s", error)
            continue
        if parts == (encoder, posterior, decoder):
            return name
    raise UsageError(
        "MODEL",
        f"no model is registered with the encoder {encoder.__name__} and the decoder"
        f" {decoder.__name__}, so that it could not be rebuilt; register it"
        " (vgae.models.registry.register_model), or save its state_dict() with safetensors.",
    )


def _loaded(part: Any, base: str) -> Any:
    """Return a class, imported if it is given by name, which must be derived from another one."""
    try:
        found = pkgutil.resolve_name(part) if isinstance(part, str) else part
    except Exception as error:  # whatever a module raises when it is imported
        raise UsageError("MODEL", f"{part} cannot be imported: {error}.") from error
    if not isinstance(found, type) or not issubclass(found, pkgutil.resolve_name(base)):
        raise UsageError("MODEL", f"{part} must be a subclass of {base.replace(':', '.')}.")
    return found

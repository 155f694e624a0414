"""Messages of typed graphs, as their encoders receive them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vgae.encoders.rgcn import Message
from vgae.errors import DataError

if TYPE_CHECKING:
    from vgae.graphs.relations import Relation
    from vgae.graphs.typed import TypedGraph
    from vgae.graphs.typed_split import TypedSplit
    from vgae.vae import VAE


def is_typed(graph: Any) -> bool:
    """Return whether a graph has several relations."""
    return hasattr(graph, "relations")


def message_kinds(graph: "TypedGraph") -> tuple[str, ...]:
    """Return the names of the kinds of messages: two of a relation with two different ends."""
    kinds = []
    for name, relation in graph.relations.items():
        kinds += [name, f"{name}, reversed"] if _has_two_ends(relation) else [name]
    return tuple(kinds)


def messages(
    graph: "TypedGraph", split: "TypedSplit | None" = None, *, val: bool = False
) -> list[Message]:
    """Return the edges of each kind of messages, in the order of :func:`message_kinds`.

    Messages travel both ways on each link: as one kind on the links of an undirected relation
    within one set of nodes, else as two kinds.

    Args:
        graph: Nodes and relations.
        split: Split whose training links carry messages; all links by default.
        val: Whether its validation links do so, too.
    """
    links = {name: relation.links for name, relation in graph.relations.items()}
    if split is not None:
        links = {name: part.train for name, part in split.parts.items()}
        if val:
            held = {name: part.val.pos for name, part in split.parts.items()}
            links = {name: torch.cat([links[name], held[name]], dim=1) for name in links}
    return _messages(graph, links)


def _messages(graph: "TypedGraph", links: Mapping[str, Tensor]) -> list[Message]:
    found = []
    for name, relation in graph.relations.items():
        forward, weight = links[name], relation.weights_of(links[name])
        backward = forward.flip(0)
        if _has_two_ends(relation):
            found += [Message(forward, weight), Message(backward, weight)]
        else:
            both = None if weight is None else torch.cat([weight, weight])
            found.append(Message(torch.cat([forward, backward], dim=1), both))
    return found


def _has_two_ends(relation: "Relation") -> bool:
    return relation.directed or relation.sides is not None


def typed_inputs(
    model: "VAE", graph: "TypedGraph", edges: Sequence[Message], like: Tensor
) -> tuple[Any, ...]:
    """Return the arguments of the encoder of ``model``, on the device of ``like``.

    Raises:
        DataError: ``RELATION`` if the encoder is not one of these relations.
    """
    kinds, theirs = message_kinds(graph), getattr(model.encoder, "messages", None)
    if theirs is None or tuple(theirs) != kinds:
        known = "takes no relations" if theirs is None else f"takes {', '.join(theirs)}"
        raise DataError(
            "RELATION",
            f"{graph.name} has the messages {', '.join(kinds)}, and this model {known}; give"
            " a graph with the same relations in the same order, or train an rgcn-vgae on it.",
        )
    x = None if graph.x is None else graph.x.to(like.device, like.dtype)
    prepare = getattr(model.encoder, "prepare", None)
    return (x, list(edges)) if prepare is None else prepare(x, edges)

"""Training of a relational model on the links of a typed graph."""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vgae.decoders.dist_mult import DistMultDecoder
from vgae.encoders import feature_scale
from vgae.encoders.rgcn import BASES
from vgae.errors import UsageError
from vgae.evaluation.metrics import auc_and_ap
from vgae.graphs.typed import TypedGraph
from vgae.graphs.typed_split import TypedSplit, check_typed
from vgae.kernels import SparseOperator, choose_pairs
from vgae.models.embedding import encoder_inputs, evaluating, input_names
from vgae.models.graphs import POSTERIORS, build_model, graph_encoder, unused_settings
from vgae.models.registry import AUTO, TYPED_MODELS, graph_model
from vgae.models.typed import message_kinds, messages
from vgae.recipes import PAPER, Recipe
from vgae.runtime.devices import Compute
from vgae.runtime.streams import checked_seed, stream
from vgae.training.plan import Plan, plan_training
from vgae.training.prepared import PreparedTraining, Problem
from vgae.training.rows import possible_parts
from vgae.training.trainer import FitResult
from vgae.vae import VAE

log = logging.getLogger(__name__)

_OF_TYPED = {AUTO: "rgcn-vgae", "vgae": "rgcn-vgae", "gae": "rgcn-gae"}
_CHANCE = 0.55  # validation AUC below which a relation is reported
_REFUSED = {
    "mask": "masks hide links of one graph",
    "weighted": "links of relations have no weights in the objective",
    "reconstruct": "its models have no target beside the links",
}


def prepare_typed(
    graph: TypedGraph,
    split: TypedSplit,
    *,
    model: str | VAE = "rgcn-vgae",
    recipe: Recipe = PAPER,
    seed: int = 0,
    device: str | Compute = "auto",
) -> PreparedTraining:
    """Build the model and the data of a training on a typed graph.

    The validation scores are the means of AUC and AP over the relations with validation links.

    Args:
        graph: Nodes, features and relations.
        split: Its split, from :func:`vgae.split_links`.
        model: ``"rgcn-vgae"`` or ``"rgcn-gae"``, built with fresh weights; ``"auto"``,
            ``"vgae"`` and ``"gae"`` stand for them. Or a :class:`~vgae.VAE` of an encoder such as
            :class:`vgae.encoders.RGCNEncoder`, whose ``messages`` are those of the graph, and a
            :class:`vgae.decoders.DistMultDecoder` of its relations.
        recipe: As for :func:`vgae.fit`; ``mask``, ``weighted`` and fields that only other
            encoders have are not for these models.
        seed: As for :func:`vgae.fit`.
        device: As for :func:`vgae.fit`.

    Raises:
        UsageError: If an argument is of another kind, or a setting is not for typed graphs.
        LeakageError: If the split is not one of this graph, or leaks.
        ResourceError: As for :func:`vgae.fit`.
    """
    check_typed(graph, split)
    if not isinstance(recipe, Recipe):
        raise UsageError("RECIPE", f"recipe must be one of vgae.recipes, got {recipe!r:.60}.")
    for name, why in _REFUSED.items():
        if value := getattr(recipe, name):
            none = 0 if not isinstance(value, bool | str) else "false" if value is True else '""'
            how = f"set {name} = {none}"
            what = f"{name} = {str(value).lower()} is not for typed graphs: {why}"
            raise UsageError("TYPED_GRAPH", f"{what}; {how} (--set), or train one relation.")
    seed, compute = checked_seed(seed), Compute.of(device)
    split.audit(graph)
    named, plan = isinstance(model, str), None
    if isinstance(model, str):
        name = _known(model)
        plan = _plan(name, graph, split, recipe, compute)
        settings = replace(recipe, pairs=plan.pairs)
        model = _built(name, graph, settings, seed)
        if unused := unused_settings(settings, model, named=True):
            level = logging.INFO if recipe.chosen.isdisjoint(unused) else logging.WARNING
            log.log(level, "no effect on this model: %s of the recipe", ", ".join(unused))
    _check_decoder(model, graph)
    possible_parts(model, graph, partition=compute.partition)
    for name, relation in graph.relations.items():
        if relation.directed:
            log.warning("relation %r is directed, and both directions get one score", name)
    model.to(compute.resolved()).train()  # an encoder prepares for training, with dropout
    inputs = encoder_inputs(model, graph, messages(graph, split))  # pyright: ignore
    target = model.decoder.prepare(  # pyright: ignore[reportAttributeAccessIssue]
        {name: (part.train, part.grid) for name, part in split.parts.items()}
    )
    validated = [name for name, part in split.parts.items() if part.val.pos.shape[1]]
    scores = partial(relation_scores, inputs=inputs, split=split, relations=validated)
    return PreparedTraining(
        model=model,
        problem=Problem(
            inputs,
            target,
            num_items=max(sum(links.num_cells for links in target.values()), 1),
            evaluate=partial(_mean_scores, scores=scores) if validated else None,
            recordable=("epoch",) if named and isinstance(inputs[1], SparseOperator) else (),
        ),
        recipe=recipe,
        seed=seed,
        compute=compute,
        identity={"graph": graph.fingerprint, "split": split.digest},
        trained_on=split.train_digest,
        plan=plan,
        health=partial(_weak_relations, scores=scores) if validated else None,
    )


def relation_scores(
    model: VAE, *, inputs: Sequence[Any], split: TypedSplit, relations: Sequence[str]
) -> dict[str, Tensor]:
    """Return AUC and AP of the validation links of each relation, shape ``(2,)``."""
    z, found = model.encoder(*inputs).mu, {}
    for name in relations:
        part = split.parts[name].val
        decoder = model.decoder.of(name)  # pyright: ignore[reportAttributeAccessIssue]
        logits = decoder.logits(z, part.edge_label_index.to(z.device))
        found[name] = torch.stack([*auc_and_ap(logits, part.edge_label.to(z.device))])
    return found


def _mean_scores(model: VAE, *, scores: Any) -> dict[str, Tensor]:
    auc, ap = torch.stack([*scores(model).values()]).mean(dim=0)
    return {"val_auc": auc, "val_ap": ap}


def _weak_relations(result: FitResult, *, scores: Any) -> list[str]:
    """Return a line for each relation whose validation links are ranked as by chance."""
    with evaluating(result.model):
        found = {name: float(pair[0]) for name, pair in scores(result.model).items()}
    return [
        f"relation {name!r:.60}: the validation AUC is {auc:.2f}, near chance; it may follow"
        " nothing that this model can learn: try more latent_channels, or features"
        for name, auc in found.items()
        if auc < _CHANCE
    ]


def check_untyped(name: str) -> None:
    """Raise ``UsageError`` if a model is one of typed graphs."""
    if name in TYPED_MODELS:
        raise UsageError(
            "MODEL",
            f"model {name!r} is for typed graphs, of several relations: vgae.TypedGraph, or a file"
            " with --relation COLUMN; for a graph there is 'vgae'.",
        )


def _known(name: str) -> str:
    """Return the name of a model of typed graphs, or raise ``UsageError``."""
    if name in _OF_TYPED:
        if name == AUTO:
            return _OF_TYPED[name]
        log.info("model %s: of a typed graph, it is %s", name, _OF_TYPED[name])
        return _OF_TYPED[name]
    graph_model(name)  # raises if there is none
    if name not in TYPED_MODELS:
        raise UsageError(
            "MODEL",
            f"model {name!r} takes one relation; for a typed graph there are"
            f" {', '.join(TYPED_MODELS)}; or train it on one relation, graph.relations[name], or"
            " on graph.untyped().",
        )
    return name


def _built(name: str, graph: TypedGraph, settings: Recipe, seed: int) -> VAE:
    """Build a named model for a typed graph, with fresh weights."""
    generator = stream(seed, "init")
    model = build_model(
        name,
        graph.num_features or graph.num_nodes,
        settings,
        generator,
        encoder_options={"messages": message_kinds(graph)},
        decoder_options={"relations": [*graph.relations]},
    )
    model.decoder.draw_weights(generator)  # pyright: ignore[reportAttributeAccessIssue]
    encoder = graph_encoder(model)
    if settings.scale_features and graph.x is not None:
        encoder.feature_scale = feature_scale(graph.x)
    encoder.feature_names = input_names(graph)  # pyright: ignore[reportArgumentType]
    return model


def _check_decoder(model: Any, graph: TypedGraph) -> None:
    """Raise ``UsageError`` unless a model has a decoder of the relations of the graph."""
    if not isinstance(model, VAE):
        rule = f"model must be a name or a vgae.VAE, got {type(model).__name__}"
        raise UsageError("MODEL", f"{rule}; there are {', '.join(TYPED_MODELS)}.")
    decoder = model.decoder
    relations = decoder.relations if isinstance(decoder, DistMultDecoder) else ()
    if tuple(relations) != tuple(graph.relations):
        listed = ", ".join(map(repr, graph.relations))
        raise UsageError(
            "DECODER",
            f"a typed graph needs a DistMultDecoder of its relations, {listed}, got"
            f" {type(decoder).__name__} of {', '.join(map(repr, relations)) or 'none'}.",
        )


def _plan(
    model: str, graph: TypedGraph, split: TypedSplit, recipe: Recipe, compute: Compute
) -> Plan:
    """Choose how the pairs are summed, predict the cost, and log it."""
    device = compute.resolved()
    cells = sum(relation.grid.num_terms for relation in graph.relations.values())
    pairs = recipe.pairs
    if pairs == "auto":
        pairs = choose_pairs(math.isqrt(cells), recipe.latent_channels, device)
    kinds = len(message_kinds(graph))
    # Products of the bases and W_0, and the messages of each kind.
    columns = min(BASES, kinds) + 1 + kinds
    heads = POSTERIORS[graph_model(model).posterior].num_heads
    widths = [columns * recipe.hidden_channels, columns * heads * recipe.latent_channels]
    links = sum(part.train.shape[1] for part in split.parts.values())
    settings = replace(recipe, pairs=pairs)
    plan = plan_training(
        graph.untyped(), links, widths, settings, device, max_bytes=compute.max_bytes
    )
    share = 1.0 if pairs == "sampled" else cells / max(graph.num_nodes**2, 1)
    loss = plan.loss._replace(
        num_pairs=round(share * plan.loss.num_pairs), seconds=share * plan.loss.seconds
    )
    plan = plan._replace(loss=loss, duration=plan.duration._replace(pairs=loss.seconds))
    changed = recipe.pairs == "auto" and plan.pairs == "sampled"
    log.log(logging.WARNING if changed else logging.INFO, "%s", plan)
    return plan

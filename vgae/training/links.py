"""Training of a graph model on the links of a graph."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from vgae.decoders import GraphDecoder, JointDecoder
from vgae.decoders.joint import link_decoder, parts_for
from vgae.encoders import feature_scale
from vgae.encoders.directed import DirectedPattern
from vgae.errors import DataError, UsageError, VgaeError
from vgae.evaluation.metrics import auc_and_ap
from vgae.graphs.collection import GraphCollection
from vgae.graphs.graph import Graph
from vgae.graphs.split import LinkSplit, check_kinds
from vgae.graphs.split_parts import training_part, validation_part
from vgae.graphs.typed import TypedGraph
from vgae.graphs.typed_split import TypedSplit
from vgae.kernels import SparseOperator
from vgae.kernels.patterns import EdgePattern
from vgae.models.embedding import (
    encoder_inputs,
    evaluating,
    input_names,
    message_edges,
    tell_signs,
)
from vgae.models.graphs import build_model, graph_encoder, input_columns, unused_settings, widths
from vgae.models.registry import AUTO, check_direction, graph_model, model_for
from vgae.recipes import DEFAULT, PAPER, Recipe, for_graph
from vgae.runtime.devices import Compute
from vgae.runtime.streams import checked_seed, stream
from vgae.training.content import content_for
from vgae.training.graph_batches import GraphBatches
from vgae.training.health import GraphHealth, remedy
from vgae.training.intervals import finish
from vgae.training.loop import Steps
from vgae.training.masking import LinkMasking
from vgae.training.own_model import (
    attr_identity,
    check_encoder,
    check_model,
    check_signature,
    trained_before,
)
from vgae.training.plan import Plan, plan_training
from vgae.training.prepared import PreparedTraining, Problem
from vgae.training.rows import possible_parts, rows_for, summed_for
from vgae.training.trainer import FitResult, OnRow
from vgae.training.typed import check_untyped, prepare_typed
from vgae.vae import VAE

log = logging.getLogger(__name__)

_PREPARED = (SparseOperator, EdgePattern, DirectedPattern)
_PAIRS_AT_ONCE = 2**17  # validation pairs that are scored at once


def fit(
    graph: Graph | TypedGraph,
    split: LinkSplit | TypedSplit,
    *,
    model: str | VAE = AUTO,
    recipe: Recipe | None = None,
    seed: int = 0,
    device: str | Compute = "auto",
    on_row: OnRow | None = None,
    progress: bool | None = None,
    checkpoints: str | os.PathLike[str] | None = None,
) -> FitResult:
    """Train on the training links of a split, and validate on its validation links.

    The split is audited first. On a CPU, the same arguments and thread count give the same
    weights, bit for bit. The result is checked at the end (``FitResult.health``): what went wrong
    is a warning with the setting that helps. If simple scores are as good on the validation
    links, a training of less than a minute is repeated without features for that.

    In a process group, all processes of which call it alike, sums are divided: all get the weights
    of one process but for rounding; the first checks them and writes. See ``docs/processes.md``.

    Args:
        graph: Nodes and features.
        split: From :func:`vgae.split_links`, :func:`vgae.read_split` or
            :meth:`vgae.LinkSplit.from_pairs`; messages travel on its training links only.
        model: A named model, built with fresh weights, by default ``"vgae"``, or for a directed
            graph ``"source-target-vgae"``; or a :class:`~vgae.VAE` of your own, which
            is trained in place with the learning rate, epochs, beta and the like of the recipe,
            not its widths, biases, dropout, weighting and pairs. Its encoder gets
            ``(x, edge_index)``, dense, its decoder ``edge_index``; with ``mask`` the encoder gets
            the links that are not masked, and the decoder must be an
            :class:`~vgae.InnerProductDecoder`. In a weighted graph the encoder gets
            ``edge_weight`` too. It is called once before, in evaluation mode.
        recipe: Settings, by default :data:`vgae.recipes.BEST`; :data:`vgae.recipes.PAPER` for a
            typed graph, and for a model of your own.
        seed: Seed of the initial weights, noise, masks, dropout and sampled pairs. During the
            training it also seeds torch's own generators, for parts of a model that draw from
            them; those are reproducible unless ``on_row`` or another thread draws too.
        device: ``"auto"``, ``"cpu"``, ``"cuda:1"``, or a :class:`vgae.runtime.devices.Compute`.
        on_row: Called with each row of the history, soon after its epoch.
        progress: Whether to show it on stderr, as a bar; by default plain lines in a file or pipe.
        checkpoints: Folder for checkpoints during the training. Called again with the same
            arguments, the training continues from there to the weights that it would have had;
            only the number of epochs may differ. SIGTERM and SIGINT end it with a checkpoint.

    Raises:
        ArtifactError: If the checkpoints are of another training.
        Interrupted: If a signal ended it.
        DataError: If a model of your own fails on a graph without features.
        LeakageError: If the split is not one of this graph, or leaks.
        ResourceError: If the device is not there, or has too little memory.
        NumericalError: If the loss is no longer finite.
        UsageError: If ``graph`` or ``split`` is of another kind; if ``model`` is no
            :class:`~vgae.VAE`, its encoder does not take the inputs or returns no posterior, its
            decoder does not support ``mask`` or ``weighted``, or ``seed`` is no integer.
    """
    prepared = prepare(graph, split, model=model, recipe=recipe, seed=seed, device=device)
    found = prepared.train(on_row=on_row, progress=progress, checkpoints=checkpoints)
    return replace(found, split=split)


def prepare(
    graph: Graph | TypedGraph,
    split: LinkSplit | TypedSplit,
    *,
    model: str | VAE = AUTO,
    recipe: Recipe | None = None,
    seed: int = 0,
    device: str | Compute = "auto",
) -> PreparedTraining:
    """Build the model and the data of a training; arguments and errors as for :func:`fit`."""
    if isinstance(graph, TypedGraph):
        given: Any = {"model": model, "seed": seed, "device": device}
        given["recipe"] = recipe or PAPER
        return prepare_typed(graph, cast(TypedSplit, split), **given)
    check_kinds(graph, split)
    split = cast(LinkSplit, split)
    recipe = (DEFAULT if isinstance(model, str) else PAPER) if recipe is None else recipe
    if not isinstance(recipe, Recipe):
        raise UsageError("RECIPE", f"recipe must be one of vgae.recipes, got {recipe!r:.60}.")
    _check(model, graph)
    seed, compute = checked_seed(seed), Compute.of(device)
    split.audit(graph)
    seen, own = training_part(graph, split)  # by whole graphs, held-out ones have no say
    given, named = recipe, isinstance(model, str)
    if named or seen.grid.name != "blocks":  # settings for many graphs are those of a named model
        recipe = for_graph(recipe, seen)
    model = model_for(graph, model) if isinstance(model, str) else model
    parts = possible_parts(model, seen, partition=compute.partition)
    settings, plan, retrain = recipe, None, None
    if isinstance(model, str):
        plan = _plan(model, seen, own, recipe, compute, parts)
        settings = replace(recipe, pairs=plan.pairs)
        if graph.x is not None:
            alike = given.override({"pairs": plan.pairs})
            options = {"model": model, "recipe": alike, "seed": seed, "device": compute}
            retrain = partial(_logits_without_features, graph, split, **options)
        model = _built(model, seen, own, settings, seed)
    elif model.trained_on:
        log.warning("%s", trained_before(model, split))
    if graph.directed and not getattr(model.decoder, "directed", True):
        log.warning(
            "%s ignores the direction of links: u -> v and v -> u have the same score; the models"
            " source-target-vgae and gravity-vgae predict it",
            type(model.decoder).__name__,
        )
    on, masked = compute.resolved(), recipe.mask > 0
    model.to(on).train()  # an encoder prepares for training, with dropout
    edges = own.message_edge_index  # kept until encoder and decoder have them, sorted once
    rows = rows_for(model, seen, own, plan, parts=parts, partition=compute.partition)
    inputs = encoder_inputs(model, seen, edges, masked=masked, rows=rows)
    validation = _validation(model, graph, split, inputs, on, masked=masked)
    _tell_unused(settings, model, given, named=named)
    tell_signs(model, graph)
    steps = _steps(model, seen, own, recipe, stream(seed, "mask", on))
    same = type(inputs[1]) in _PREPARED and not isinstance(steps, GraphBatches)
    prepared = PreparedTraining(
        model=model,
        problem=Problem(
            inputs,
            _target(model, seen, own, on, weighted=recipe.weighted),
            # The mean over all ordered pairs, on the scale of the paper's code.
            num_items=seen.grid.num_terms,
            steps=steps,
            evaluate=validation if split.val.pos.shape[1] else None,
            # Others may have as many edges as the masks leave.
            recordable=("epoch", "evaluation") if named and same else (),
            summed=summed_for(model, rows, seen),
        ),
        recipe=recipe,
        seed=seed,
        compute=compute,
        identity={"graph": graph.fingerprint, "split": split.digest} | attr_identity(graph),
        former={"split": split.former_identity},
        trained_on=split.train_digest,
        plan=plan,
        finish=partial(finish, graph=graph, split=split),
        health=GraphHealth(
            *(validation_part(graph, split) if split.val.pos.shape[1] else (seen, own)),
            *(recipe, None if rows else validation.inputs, seen.grid.num_terms),
            named=named,
            retrain=retrain,
        ),
        remedy=remedy(seen, recipe, named=named),
    )
    if not named and rows is None:
        check_encoder(model, inputs, seen, own.grid.message_edges(own.train[:, :1]))
    return prepared


def _check(model: Any, graph: Graph) -> None:
    """Raise ``UsageError`` unless a model, or its name, is one for a graph."""
    if isinstance(model, str):
        check_untyped(model)
        if graph.link_attr is not None:
            what = "named models take no edge_attr: the %d features of links of %s have no effect"
            log.warning(what, graph.link_attr.shape[1], graph.name)
        return
    check_model(model, "vgae.InnerProductDecoder()")
    check_signature(model.encoder, graph)
    check_direction(model.decoder, graph, type(model.decoder).__name__)


@dataclass(frozen=True, eq=False)
class _Validation:
    """Scores of the validation links, without waiting for a GPU."""

    inputs: Sequence[Any]
    pairs: Tensor
    labels: Tensor

    def __call__(self, model: VAE) -> dict[str, Tensor]:
        auc, ap = auc_and_ap(self.logits(model), self.labels)
        return {"val_auc": auc, "val_ap": ap}

    def logits(self, model: VAE) -> Tensor:
        decoder, z = link_decoder(model), model.encoder(*self.inputs).mu
        chunks = self.pairs.split(_PAIRS_AT_ONCE, dim=1)
        return torch.cat([decoder.logits(z, chunk) for chunk in chunks])


def _validation(
    model: VAE,
    graph: Graph,
    split: LinkSplit,
    inputs: Sequence[Any],
    device: torch.device,
    *,
    masked: bool,
) -> _Validation:
    """Return the validation pairs and the inputs for them, those of the training or others."""
    pairs = split.val
    if split.graph_part is not None and split.val.pos.shape[1]:
        held, own = validation_part(graph, split)
        inputs = encoder_inputs(model, held, own.message_edge_index, masked=masked)
        pairs = own.val
    return _Validation(inputs, pairs.edge_label_index.to(device), pairs.edge_label.to(device))


def _plan(
    model: str, graph: Graph, split: LinkSplit, recipe: Recipe, compute: Compute, parts: int
) -> Plan:
    """Return the plan of a training, and log it."""
    sizes = split.train.shape[1], widths(model, recipe)
    logits = graph_model(model).decoder_class.logits_kind
    options: Any = {"max_bytes": compute.max_bytes, "logits": logits, "parts": parts}
    options["partition"] = compute.partition
    plan = plan_training(graph, *sizes, recipe, compute.resolved(), **options)
    # Sampled pairs that the recipe does not name are a warning.
    changed = recipe.pairs == "auto" and plan.pairs == "sampled"
    log.log(logging.WARNING if changed else logging.INFO, "%s", plan)
    if graph.x is None and input_columns(graph) == 0:
        log.info("no features: a node is known by its links alone")
    elif graph.x is None:
        log.info("no features: each node has weights of its own, without an N x N matrix")
    return plan


def _built(name: str, graph: Graph, split: LinkSplit, settings: Recipe, seed: int) -> VAE:
    """Build a named model for a graph, with fresh weights."""
    in_channels = input_columns(graph)
    if in_channels == 0:
        # Not every encoder can be built for no columns.
        plain = replace(settings, reconstruct="")
        has = graph_encoder(build_model(name, 1, plain, stream(seed, "init"))).config()
        if not (has.get("degrees") or has.get("positions")):
            raise DataError(
                "NO_FEATURES",
                f"{graph.name} has no features, and without degrees and positions all nodes are"
                f" the same to {name}; set degrees = true (--set degrees=true) for a model that"
                " has them, such as vgae, or give features (--features FILE).",
            )
    settings, content = content_for(name, graph, split, settings)
    parts = parts_for(settings, graph, split, stream(seed, "parts"))
    options = {"decoder_options": {"parts": parts}} if parts else {}
    model = build_model(name, in_channels, settings, stream(seed, "init"), **options)
    encoder = graph_encoder(model)
    if settings.scale_features and graph.x is not None:
        encoder.feature_scale = feature_scale(graph.x)
    if content:
        encoder.get_submodule("content").load_state_dict(content)
    encoder.feature_names = input_names(graph) if in_channels else ()
    return model


def _tell_unused(settings: Recipe, model: VAE, given: Recipe, *, named: bool) -> None:
    """Log the settings that have no effect; as a warning if the caller has chosen one."""
    if unused := unused_settings(settings, model, named=named):
        level = logging.INFO if named and given.chosen.isdisjoint(unused) else logging.WARNING
        log.log(level, "no effect on this model: %s of the recipe", ", ".join(unused))


def _logits_without_features(graph: Graph, split: LinkSplit, **options: Any) -> Tensor | None:
    """Train a model without features; return the logits of the validation pairs.

    ``None`` if the training fails, such as for lack of memory.
    """
    log.info("training again without features, to compare the validation AUC")
    try:
        prepared = prepare(graph.without_features(), split, **options)
        model = replace(prepared, health=None).train(progress=False).model
    except VgaeError as error:
        log.info("the training without features failed: %s", error)
        return None
    with evaluating(model):
        return cast(_Validation, prepared.problem.evaluate).logits(model).cpu()


def _target(
    model: VAE, graph: Graph, split: LinkSplit, device: torch.device, *, weighted: bool
) -> Any:
    """Return the target of the decoder, in its fastest form."""
    edge_index = split.message_edge_index.to(device)
    weight = graph.weights_of(split.message_edge_index) if weighted else None
    if isinstance(model.decoder, GraphDecoder):
        weight = None if weight is None else weight.to(device)
        # Decoders of others need not know of grids until they get one.
        grid: Any = {"grid": split.grid} if split.grid.arrays() else {}
        links = model.decoder.prepare(edge_index, split.num_nodes, weight, **grid)
        if isinstance(model.decoder, JointDecoder):
            return model.decoder.with_parts(links, graph, split, device)
        return links
    if weight is not None or split.grid.name == "blocks":
        reason = "weighted = true" if weight is not None else "a collection of graphs"
        _graph_decoder(model, reason)  # refuses
    prepare = getattr(model.decoder, "prepare", None)
    return edge_index if prepare is None else prepare(edge_index, split.num_nodes)


def _graph_decoder(model: VAE, setting: str) -> GraphDecoder:
    """Return the decoder; raise ``UsageError`` unless it supports masks and weights."""
    if not isinstance(model.decoder, GraphDecoder):
        raise UsageError(
            "DECODER",
            f"{setting} needs a decoder that is a GraphDecoder, such as InnerProductDecoder, not"
            f" {type(model.decoder).__name__}; leave the setting out.",
        )
    return model.decoder


def _steps(
    model: VAE, graph: Graph, split: LinkSplit, recipe: Recipe, generator: torch.Generator
) -> Steps | None:
    """Return the steps of an epoch: batches of graphs, or all at once with masks, if any."""
    if recipe.mask > 0:
        _graph_decoder(model, "mask > 0")
    if recipe.batch_size == 0:
        return _masking(model, graph, split, recipe.mask, generator)
    if not isinstance(graph, GraphCollection):
        raise UsageError(
            "BATCH_SIZE",
            f"batch_size = {recipe.batch_size} is a number of graphs, and {graph.name} is one"
            " graph; set batch_size = 0 (--set batch_size=0), or train on a collection.",
        )

    def prepared(some: GraphCollection, own: LinkSplit) -> Sequence[Any]:
        masks = _masking(model, some, own, recipe.mask, generator)
        edges, masked = own.message_edge_index, masks is not None
        inputs = encoder_inputs(model, some, edges, masked=masked)
        target = _target(model, some, own, generator.device, weighted=recipe.weighted)
        return [(inputs, target)] if masks is None else masks(inputs, target)

    return GraphBatches(graph, split, recipe.batch_size, prepared, generator)


def _masking(
    model: VAE, graph: Graph, split: LinkSplit, rate: float, generator: torch.Generator
) -> LinkMasking | None:
    """Return the masks of the training links, if there are any."""
    if rate == 0 or split.train.shape[1] < 2:  # one link cannot be both seen and predicted
        return None
    target = split.message_edge_index.to(generator.device)
    received = message_edges(model, graph, split.message_edge_index)[0].to(generator.device)
    return LinkMasking(received, rate, generator, None if received.equal(target) else target)

"""Encoders as programs of tensors alone: files for ``torch.export`` and ONNX, and their check."""

import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from vgae.encoders import CSRFeatures, GraphEncoder
from vgae.encoders._convolution import ConvolutionalEncoder
from vgae.errors import UsageError
from vgae.gaussian import DiagGaussian
from vgae.graphs.graph import Graph
from vgae.models.embedding import (
    Trained,
    check_features,
    embed,
    embed_images,
    feature_means,
    message_edges,
    model_of,
    parameter_like,
    received_features,
)
from vgae.models.images import is_image_model
from vgae.runtime.atomic import check_writable, replacing
from vgae.runtime.tables import checked_suffix, optional_module
from vgae.vae import VAE
from vgae.version import __version__

FORMATS = (".onnx", ".pt2")
OPSET = 18
_SPARSE = ("x_crow", "x_col", "x_value")
_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


class TensorEncoder(nn.Module):
    """Encoder that takes tensors by position and returns ``(mu, logvar)``, or ``(mu,)``.

    The second result, log sigma squared, is absent for a :class:`~vgae.PointMass`. The module is
    in evaluation mode, and its parameters are those of the model, not copies.

    Args:
        model: A trained model of a graph or of images.
        inputs: Names of its arguments: of images ``x``; of graphs ``x`` (N, F), or ``x_crow``,
            ``x_col``, ``x_value`` of sparse CSR features, or none of them for a model without
            features; then ``edge_index`` (2, E) and perhaps ``edge_weight`` (E,).

    Raises:
        UsageError: ``MODEL`` for encoders that take more than tensors.
    """

    def __init__(self, model: VAE, inputs: Sequence[str]) -> None:
        super().__init__()
        encoder: Any = model.encoder
        _check_encoder(encoder, sparse="x_crow" in inputs)
        self.inputs, self.encoder = tuple(inputs), encoder
        self.outputs = ("mu", "logvar")[: _heads(encoder)]
        self.column_mean: Tensor | None
        means = feature_means(model) if "x" in self.inputs else None
        self.register_buffer("column_mean", means)
        self.eval()

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return mean and log variance of every node or image, each of shape ``(N, d)``."""
        given: dict[str, Any] = dict(zip(self.inputs, tensors, strict=True))
        x = given.pop("x", None)
        if self.column_mean is not None and x is not None:
            x = torch.where(x.isnan(), self.column_mean, x)  # what was unknown in training
        if "x_crow" in given:
            crow, col, value = (given.pop(name) for name in _SPARSE)
            x = CSRFeatures(crow, col, value, self.encoder.in_channels)
        q = self.encoder(x, *given.values())
        return (q.mu, q.logvar) if isinstance(q, DiagGaussian) else (q.mu,)


@dataclass(frozen=True)
class Exported:
    """A written encoder.

    Attributes:
        path: The file.
        inputs: Names of its inputs, in their order.
        outputs: Names of its outputs.
        difference: Largest difference of an output from the model's own result on the given
            data, of a number above 1 relative to it; ``None`` if there were no data, or the
            package that runs the file is missing.
    """

    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    difference: float | None


def export_encoder(
    trained: VAE | Trained,
    path: str | os.PathLike[str],
    data: Graph | Tensor | None = None,
    *,
    edge_index: Tensor | None = None,
    sparse: bool = False,
    weighted: bool = False,
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> Exported:
    """Write the encoder of a model as one file that needs nothing of this package.

    ``.onnx`` is for onnxruntime and others, ``.pt2`` for ``torch.export.load``. Numbers of nodes,
    edges and images are those of the inputs. The normalisation of the edges, the scale of the
    features, and all latent dimensions are in the file; noise and dropout are not. Edges are given
    as in training: both directions of every link, without self-loops; those of an encoder of
    directed graphs from source to target.

    Args:
        trained: A model, or the result of :func:`vgae.fit` or :func:`vgae.load_run`.
        path: Destination; an existing file is replaced.
        data: Graph, or images (n, c, h, w), with which the file is checked; a graph also says
            whether the model has features and weights. Without it, a graph model is taken to have
            features.
        edge_index: Edges that messages travel on in the check; all links by default.
        sparse: Whether the features are given as three tensors ``x_crow``, ``x_col``, ``x_value``
            of sparse CSR instead of ``x``.
        weighted: Whether edges have weights, where no graph is given.
        metadata: Further texts for the file, beside the version, names and sizes.

    Raises:
        UsageError: ``EXPORT_FORMAT``; ``MODEL`` if the encoder cannot be written so;
            ``MISSING_PACKAGE`` without onnxscript.
        DataError: If the data do not fit the model.
    """
    path, model = Path(path), model_of(trained)
    suffix = checked_suffix(path, FORMATS)
    _check_encoder(model.encoder, sparse=sparse)
    check_writable(path)
    if suffix == ".onnx":
        for name in ("onnx", "onnxscript"):
            optional_module(name, "onnx")
    given = _example(model, sparse=sparse, weighted=weighted)
    if data is not None:
        given = _tensors(model, data, edge_index, sparse=sparse)
    device = parameter_like(model).device
    module = TensorEncoder(model.cpu(), [*given])
    try:
        traced = _traced(module, _small(given, model))
        notes = {**_notes(model, module, sparse=sparse), **metadata}
        with replacing(path) as temporary:
            (_write_onnx if suffix == ".onnx" else _write_pt2)(traced, module, temporary, notes)
    finally:
        model.to(device)
    found = None if data is None else _run(path, given)
    if found is None:
        return Exported(path, module.inputs, module.outputs, None)
    assert data is not None
    q: Any = (
        embed(model, data, edge_index) if isinstance(data, Graph) else embed_images(model, data)
    )
    pairs = zip(found, (getattr(q, name) for name in module.outputs), strict=True)
    parts = [((a - b).abs() / b.abs().clamp_min(1)).max() for a, b in pairs if b.numel()]
    return Exported(path, module.inputs, module.outputs, float(max(parts, default=0.0)))


def _check_encoder(encoder: Any, *, sparse: bool) -> None:
    """Raise ``UsageError`` for an encoder that takes more than tensors."""
    if hasattr(encoder, "messages"):
        _refuse("that of a typed graph takes a list of edges for each relation")
    if getattr(encoder, "positions", 0):
        _refuse("its positions depend on the sizes of the graphs; train with --set positions=0")
    if sparse and not isinstance(encoder, ConvolutionalEncoder):
        _refuse("sparse features are for graph convolutions; leave sparse out")


def _refuse(reason: str) -> NoReturn:
    raise UsageError("MODEL", f"this encoder cannot be exported: {reason}.")


def _heads(encoder: Any) -> int:
    """Return the number of results of an encoder."""
    kind = getattr(encoder, "posterior", None) or encoder.head.posterior
    return kind.num_heads


def _example(model: VAE, *, sparse: bool, weighted: bool) -> dict[str, Tensor]:
    """Return inputs of a model, of which only the names, types and widths count."""
    like = parameter_like(model)
    if is_image_model(model):
        return {"x": like.new_zeros(2, *model.encoder.shape)}  # pyright: ignore
    width = getattr(model.encoder, "in_channels", None)
    if width is None:
        _refuse("it does not say how many features it takes (in_channels); give the graph")
    x = like.new_zeros(3, width)
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    weight = {"edge_weight": like.new_ones(4)} if weighted else {}
    return {**_named_features(x, sparse=sparse), "edge_index": edges, **weight}


def _tensors(
    model: VAE, data: Graph | Tensor, edge_index: Tensor | None, *, sparse: bool
) -> dict[str, Tensor]:
    """Return a graph or images as the file will get them."""
    like = parameter_like(model)
    if not isinstance(data, Graph):
        return {"x": data.to("cpu", like.dtype)}
    check_features(model, data)
    edges, weight = message_edges(
        model, data, data.edge_index if edge_index is None else edge_index
    )
    x = received_features(model, data)
    if x is None and sparse:
        raise UsageError("EXPORT_FORMAT", f"{data.name} has no features that could be sparse.")
    if x is None and getattr(model.encoder, "in_channels", None) == 0:
        x = like.new_zeros(data.num_nodes, 0)
    features = {} if x is None else _named_features(x.to("cpu", like.dtype), sparse=sparse)
    given = {**features, "edge_index": edges.cpu()}
    return given if weight is None else {**given, "edge_weight": weight.to("cpu", like.dtype)}


def _named_features(x: Tensor, *, sparse: bool) -> dict[str, Tensor]:
    if not sparse:
        return {"x": x.to_dense()}
    x = x if x.layout == torch.sparse_csr else x.to_sparse_csr()
    return dict(zip(_SPARSE, CSRFeatures.of(x)[:3], strict=True))


def _small(given: Mapping[str, Tensor], model: VAE) -> dict[str, Tensor]:
    """Return inputs of the same names and widths with few nodes, edges and images."""
    found = {
        name: given[name].new_zeros(6) for name in ("edge_weight", "x_value") if name in given
    }
    nodes = torch.arange(6, dtype=torch.int64)
    if "x" in given:
        found["x"] = given["x"].new_zeros(5, *given["x"].shape[1:])
    if "edge_index" in given:
        found["edge_index"] = torch.stack([nodes % 5, (nodes + 1) % 5])
        if not {"x", "x_crow"} & given.keys():  # each node has a row of weights
            found["edge_index"] = found["edge_index"] % model.encoder.in_channels  # pyright: ignore
    if "x_crow" in given:
        found |= {"x_crow": torch.tensor([0, 1, 2, 3, 4, 6]), "x_col": torch.zeros_like(nodes)}
    return {name: found[name] for name in given}


def _traced(module: TensorEncoder, example: Mapping[str, Tensor]) -> Any:
    """Return the program of a module, with dynamic numbers of nodes, edges, images and entries."""
    places = {"x": 0, "edge_index": 1, "edge_weight": 0, "x_crow": 0, "x_col": 0, "x_value": 0}
    dynamic = torch.export.Dim.DYNAMIC
    shapes = tuple({places[name]: dynamic} for name in example)
    with _quiet(), torch.no_grad():
        try:
            found = torch.export.export(
                module, (*example.values(),), dynamic_shapes={"tensors": shapes}, strict=False
            )
        except Exception as error:  # whatever an encoder raises when its values are not known
            reason = [*str(error).splitlines(), type(error).__name__][0].rstrip(".")
            raise UsageError(
                "MODEL",
                f"{type(module.encoder).__name__} cannot be exported, as its program depends on"
                f" values or on more than tensors ({reason:.160}).",
            ) from error
    for node in found.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names files of this machine
    return found


def _notes(model: VAE, module: TensorEncoder, *, sparse: bool) -> dict[str, str]:
    """Return what a reader of the file should know, as texts."""
    notes = {"vgae_version": __version__, "encoder": type(model.encoder).__name__}
    notes |= {"inputs": ", ".join(module.inputs), "outputs": ", ".join(module.outputs)}
    if "edge_index" not in module.inputs:
        return {**notes, "x": "pixels in [0, 1], shape (n, c, h, w)"}
    directed = getattr(model.encoder, "directed", True)
    ways = "one column per link, source above target" if directed else "both directions of a link"
    notes["edge_index"] = f"{ways}, no self-loops, int64"
    if isinstance(model.encoder, GraphEncoder):
        if module.inputs[0].startswith("x"):
            scaled = " and scaled in the file" * (model.encoder.feature_scale is not None)
            kind = "sparse CSR: x_crow, x_col, x_value" if sparse else "dense"
            notes["features"] = f"{kind}, as in the training graph{scaled}"
            notes["num_features"] = str(model.encoder.in_channels)
        else:
            notes["features"] = f"none; nodes are the {model.encoder.in_channels} of the training"
        if model.encoder.feature_names:
            what = "feature_names" if "features" in notes and "num_features" in notes else "nodes"
            notes[what] = json.dumps(model.encoder.feature_names, ensure_ascii=False)
    if module.column_mean is not None:
        notes["missing"] = "NaN in x stands for an unknown value, and is replaced in the file"
    return notes


def _write_pt2(traced: Any, _: TensorEncoder, path: Path, notes: Mapping[str, str]) -> None:
    files = {"metadata.json": json.dumps(dict(notes), ensure_ascii=False, indent=1)}
    with path.open("wb") as file, _quiet():
        torch.export.save(traced, file, extra_files=files)


def _write_onnx(traced: Any, module: TensorEncoder, path: Path, notes: Mapping[str, str]) -> None:
    names: dict[str, Any] = {"input_names": [*module.inputs], "output_names": [*module.outputs]}
    table = torch.export.default_decompositions()
    table[torch.ops.aten.index_add.default] = _index_add
    with _quiet(), torch.no_grad():
        traced = traced.run_decompositions(table)
        program: Any = torch.onnx.export(
            traced, dynamo=True, opset_version=OPSET, verbose=False, **names
        )
    found = program.model
    for node in found.graph:
        node.metadata_props.clear()  # files of this machine, and the whole trace
    for value in (*found.graph.inputs, *found.graph.outputs):
        value.metadata_props.clear()
    found.metadata_props.clear()
    found.metadata_props.update(notes)
    found.producer_name, found.producer_version = "vgae", __version__
    _name_sizes(found.graph)
    with _quiet():
        program.save(os.fspath(path), external_data=False)


def _index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """Do ``index_add`` with ``scatter_add``.

    It becomes ScatterElements. ScatterND, which ``index_add`` would become, loses terms in several
    threads of onnxruntime.
    """
    shape = [1] * x.dim()
    shape[dim] = -1
    source = source if alpha == 1 else source * alpha
    return x.scatter_add(dim, index.view(shape).expand_as(source), source)


def _name_sizes(graph: Any) -> None:
    """Give dynamic sizes the names that a reader expects."""
    words = {"x": "nodes", "edge_index": "edges", "x_crow": "rows_and_1", "x_col": "entries"}
    if not any(value.name == "edge_index" for value in graph.inputs):
        words["x"] = "images"
    known: dict[str, str] = {}
    for value in graph.inputs:
        sizes = [str(size) for size in value.shape if not isinstance(size, int)]
        known |= dict.fromkeys(sizes, words[value.name]) if value.name in words else {}
    for value in (*graph.inputs, *graph.outputs):
        for place, size in enumerate(value.shape):
            if not isinstance(size, int):
                value.shape[place] = known.get(str(size), "nodes")


def _run(path: Path, given: Mapping[str, Tensor]) -> list[Tensor] | None:
    """Return the results of a file; ``None`` if onnxruntime is missing."""
    if path.suffix == ".pt2":
        with _quiet(), torch.no_grad():
            return [*torch.export.load(path).module()(*given.values())]
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return None
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {name: tensor.numpy() for name, tensor in given.items()})
    return [torch.from_numpy(array) for array in found]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch and its libraries say about themselves."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

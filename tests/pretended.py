"""A GPU that is pretended: its tensors say ``cuda:0``, and a CPU computes their numbers.

``FakeTensorMode`` has neither sparse matrices nor numbers. Here a training on the GPU gives the
bits of one on the CPU, and an error, as CUDA does, if tensors or a generator are on different
devices, if a tensor is to become an array, or if a step waits for the device while it is captured
as a graph. Kernels of Triton are out: the device is too old for it.
"""

import time
from contextlib import ExitStack, contextmanager, nullcontext
from typing import ClassVar
from unittest import mock

import torch
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
_ACROSS = {"_to_copy", "copy_"}  # the operations that may have tensors of both
_WAIT = {"_local_scalar_dense", "nonzero", "masked_select", "unique_dim", "_unique2", "equal"}
_PRODUCTS = {"mm", "addmm", "addmm_", "mv", "addmv", "addmv_"}
_Generator, _sparse_csr = torch.Generator, torch.sparse_csr_tensor


class OnGPU(torch.Tensor):
    """Tensor whose numbers are those of ``elem``, on the CPU."""

    @staticmethod
    def __new__(cls, elem):
        strides = elem.stride() if elem.layout == torch.strided else (1,) * elem.ndim
        # For C++ it is on "meta", which has no numbers and no driver.
        shape = torch.empty_strided(elem.shape, strides, dtype=elem.dtype, device="meta")
        made = torch.Tensor._make_subclass(cls, shape)
        made.elem = elem
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _computed(func, args, kwargs or {})

    def __repr__(self):
        return f"OnGPU({self.elem})"

    def numpy(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy; use Tensor.cpu()")

    def tolist(self):
        return self.cpu().tolist()

    __array__ = numpy
    device = property(lambda _: GPU)
    layout = property(lambda self: self.elem.layout)
    is_cuda, is_cpu, is_meta = (property(lambda _, v=v: v) for v in (True, False, False))


class Graph:
    """CUDA graph: the operations of a capture, with their arguments and results."""

    capturing = None
    stream = "default"  # the current one
    pools: ClassVar = set()  # from which memory is allocated

    def __init__(self, *_, **__):
        self.operations, self.written, self.generators, self.is_broken = [], [], {}, False

    def register_generator_state(self, generator):
        self.generators[generator._cdata] = generator

    def begin(self, pool):
        Graph.capturing, Graph.stream, self.pool = self, "capture", pool
        Graph.pools.add(pool)
        self.states = [g.get_state() for g in (*self.generators.values(), torch.default_generator)]

    def end(self):
        """Undo everything: a capture launches nothing."""
        Graph.capturing = None
        with _disable_current_modes():
            for tensor, before in reversed(self.written):
                tensor.copy_(before)
        generators = (*self.generators.values(), torch.default_generator)
        for generator, state in zip(generators, self.states, strict=True):
            generator.set_state(state)
        self.written.clear()
        if self.is_broken:  # torch up to 2.11 ends nothing else then
            raise RuntimeError("operation failed due to a previous error during capture")
        Graph.stream = "default"
        Graph.pools.remove(self.pool)

    def add(self, func, args, kwargs):
        """Compute an operation and keep it."""
        generator = kwargs.get("generator")
        if generator is not None and generator._cdata not in self.generators:
            raise RuntimeError(f"{func} draws from a generator that the graph does not know")
        self.written += [(x, x.clone()) for x in _overwritten(func, args, kwargs)]
        results = func(*args, **kwargs)
        self.operations.append((func, args, kwargs, results))
        return results

    def replay(self):
        """Compute all again, from the present numbers into the same tensors."""
        with _disable_current_modes():
            for func, args, kwargs, results in self.operations:
                again = func(*args, **kwargs)
                for old, new in zip(tree_leaves(results), tree_leaves(again), strict=True):
                    if _is_tensor(old):
                        _overwrite(old, new)

    def reset(self):
        self.operations.clear()


class Event:
    """Point in time; the CPU has done its work by then."""

    def __init__(self, *_, **__):
        self.seconds = 0.0

    def record(self, *_):
        self.seconds = time.perf_counter()

    def elapsed_time(self, later):
        return 1e3 * (later.seconds - self.seconds)


def _is_tensor(value):
    return isinstance(value, torch.Tensor)


def _overwritten(func, args, kwargs):
    """Return the tensors that an operation changes in place."""
    found = []
    for place, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[place] if place < len(args) else kwargs.get(argument.name)
            found += [x for x in tree_leaves(value) if _is_tensor(x)]
    return found


def _overwrite(old, new):
    """Copy the numbers, unless both are views of the same."""
    if old.layout == torch.sparse_csr:
        for part in ("crow_indices", "col_indices", "values"):
            _overwrite(getattr(old, part)(), getattr(new, part)())
    elif old.untyped_storage().data_ptr() != new.untyped_storage().data_ptr():
        old.copy_(new)


def _computed(func, args, kwargs):
    """Compute an operation on the CPU; its results are where CUDA would have them."""
    name = func._schema.name.partition("::")[2]
    tensors = [x for x in tree_leaves((args, kwargs)) if _is_tensor(x)]
    on_gpu = [x for x in tensors if isinstance(x, OnGPU)]
    changed = _overwritten(func, args, kwargs)
    device = GPU if any(isinstance(x, OnGPU) for x in changed or tensors) else CPU
    # A number is a tensor without dimensions here, which may come from the CPU.
    elsewhere = any(x.ndim and x.is_cpu for x in tensors) or any(x.is_cpu for x in changed)
    if on_gpu and elsewhere and name not in _ACROSS:
        raise RuntimeError(f"{name}: expected all tensors to be on the same device")
    wanted = kwargs.get("device")
    # C++ asks for "meta" and means the GPU, unless the caller does.
    if wanted is not None and not _Meant.meta:
        device = CPU if wanted.type == "cpu" else GPU
        kwargs = kwargs | {"device": CPU}
    if kwargs.get("generator") is not None and kwargs["generator"]._cdata in _ON_GPU:
        assert device == GPU, f"{name}: a generator of a GPU for a tensor of the CPU"
    elif kwargs.get("generator") is not None:
        assert device == CPU, f"{name}: a generator of the CPU for a tensor of a GPU"
    sparse = any(x.layout == torch.sparse_csr for x in on_gpu)
    if name in _PRODUCTS and sparse and torch.are_deterministic_algorithms_enabled():
        raise RuntimeError(f"{name}: the order of cuSPARSE's sums may differ between calls")
    plain_args, plain = tree_map(lambda x: x.elem if isinstance(x, OnGPU) else x, (args, kwargs))
    if Graph.capturing is None or not (on_gpu or device == GPU):
        results = func(*plain_args, **plain)
    else:
        crossing = name in _ACROSS and elsewhere
        masks = name.startswith("index") and any(x.dtype == torch.bool for x in tensors[1:])
        if name in _WAIT or crossing or masks or device == CPU:
            Graph.capturing.is_broken = True
            raise RuntimeError(f"{name}: not permitted when stream is capturing")
        results = Graph.capturing.add(func, plain_args, plain)
    # What is changed in place stays the same tensor.
    known = {id(x.elem): x for x in on_gpu}

    def placed(x):
        if not _is_tensor(x) or device == CPU:
            return x
        return known[id(x)] if id(x) in known else OnGPU(x)

    return tree_map(placed, results)


class _OnThisMachine(TorchDispatchMode):
    """Computes the operations without a tensor of the GPU too, such as ``zeros``."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _computed(func, args, kwargs or {})


class _Meant(DeviceContext):
    """``with torch.device("meta")``, where tensors are to have no numbers."""

    meta = False

    def __torch_function__(self, *args, **kwargs):
        before, _Meant.meta = _Meant.meta, self.device.type == "meta"
        try:
            return super().__torch_function__(*args, **kwargs)
        finally:
            _Meant.meta = before


_ON_GPU = {}


class PretendedGenerator(_Generator):
    """Generator that may be of a GPU; it draws the numbers of the CPU."""

    def __new__(cls, device="cpu"):
        made = super().__new__(cls, "cpu")
        if torch.device(device).type == "cuda":
            _ON_GPU[made._cdata] = made
        return made

    @property
    def device(self):
        return GPU if self._cdata in _ON_GPU else CPU

    def graphsafe_get_state(self):
        return self.get_state()

    def graphsafe_set_state(self, state):
        self.set_state(state)


def _with_index(function):
    """Replace ``"cuda"`` by ``"cuda:0"``; C++ would ask the driver for the index."""

    def known(value):
        no_index = isinstance(value, (str, torch.device)) and str(value) == "cuda"
        return GPU if no_index else value

    def called(*args, **options):
        return function(*map(known, args), **{k: known(v) for k, v in options.items()})

    return called


def _sparse_csr_tensor(crow, col, values, *size, device=None, **options):
    """Make a matrix where its values are; C++ would ask the driver for the device."""
    assert device is None or device == values.device
    return _sparse_csr(crow, col, values, *size, **options)


@contextmanager
def _captured(graph, *, pool=(0, 0), **_):
    graph.begin(pool)
    try:
        yield
    finally:
        graph.end()


def _end_allocation(_, pool):
    if pool not in Graph.pools:
        raise RuntimeError("not currently recording to mempool_id")
    Graph.pools.remove(pool)


@contextmanager
def pretended_gpu():
    """Make ``torch.device("cuda:0")`` work in this thread."""
    generator, nothing = PretendedGenerator("cuda"), lambda *_, **__: nullcontext()
    functions = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "default_generators": (generator,),
        "get_rng_state": lambda *_: generator.get_state(),
        "set_rng_state": lambda state, *_: generator.set_state(state),
        "get_device_capability": lambda *_: (7, 0),
        "mem_get_info": lambda *_: (8 << 30, 8 << 30),
        "memory_reserved": lambda *_: 0,
        "memory_allocated": lambda *_: 0,
        "synchronize": lambda *_: None,
        "empty_cache": lambda: None,
        "is_current_stream_capturing": lambda: Graph.capturing is not None,
        "Stream": lambda *_: mock.MagicMock(),
        "current_stream": lambda *_: mock.MagicMock(cuda_stream=Graph.stream),
        "set_stream": lambda stream: setattr(Graph, "stream", stream.cuda_stream),
        "graph_pool_handle": lambda: (0, 1),
        "Event": Event,
        "CUDAGraph": Graph,
        "graph": _captured,
        **dict.fromkeys(("device", "device_of", "stream"), nothing),
    }
    with ExitStack() as stack:
        for name, value in functions.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        for place, name in ((torch.Tensor, "to"), (torch, "tensor"), (torch, "as_tensor")):
            indexed = _with_index(getattr(place, name))
            stack.enter_context(mock.patch.object(place, name, indexed))
        ended = mock.patch.object(torch._C, "_cuda_endAllocateToPool", _end_allocation)
        stack.enter_context(ended)
        stack.enter_context(mock.patch.object(torch.Tensor, "cuda", lambda x, *_: x.to(GPU)))
        stack.enter_context(mock.patch.object(torch, "Generator", PretendedGenerator))
        stack.enter_context(mock.patch("torch.utils._device.DeviceContext", _Meant))
        stack.enter_context(mock.patch.object(torch, "sparse_csr_tensor", _sparse_csr_tensor))
        # torch.tensor makes a tensor of the CPU, and moves it.
        stack.callback(torch._C._set_only_lift_cpu_tensors, torch._C._only_lift_cpu_tensors())
        torch._C._set_only_lift_cpu_tensors(True)
        stack.enter_context(_OnThisMachine())
        yield

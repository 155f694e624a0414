"""A function on a GPU that is recorded as a CUDA graph and replayed."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch
from torch import Tensor

log = logging.getLogger(__name__)

_ORDINARY = 3  # calls before the recording: kernels are compiled, moments allocated


class Replayed:
    """Function on a GPU that becomes one launch instead of one per kernel.

    A training step on a small graph has dozens of kernels that run for microseconds each: to
    launch them takes longer than to run them. The first three calls run as usual, the fourth is
    recorded, and all from then on are replays of it: same tensors, new random numbers. If it
    cannot be recorded, a warning says why, and all calls run as usual.

    Args:
        function: Function without arguments that returns a tensor. Its shapes and what it reads
            never change, it never waits for the device, and its optimizer, if it takes a step,
            was made with ``capturable=True``.
        generators: All generators that it draws from, on the device.
        device: Device of the function.
    """

    def __init__(
        self,
        function: Callable[[], Tensor],
        generators: Sequence[torch.Generator],
        device: torch.device,
    ) -> None:
        self.function, self.generators, self.device = function, generators, device
        self.calls, self.result = 0, torch.empty(0)
        self.graph: torch.cuda.CUDAGraph | None = None
        with torch.cuda.device(device):
            self.stream = torch.cuda.Stream()

    def __call__(self) -> Tensor:
        """Call the function; return a copy of its result, which no later call overwrites."""
        self.calls += 1
        with torch.cuda.device(self.device):
            if self.calls == _ORDINARY + 1:
                self._record()
            if self.graph is not None:
                self.graph.replay()
                return self.result.clone()
            # On the stream of the recording, as gradients of leaves are bound to one.
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                result = self.function()
            torch.cuda.current_stream().wait_stream(self.stream)
            return result

    def _record(self) -> None:
        # torch adds its own generator to every graph.
        index = torch.cuda.current_device()
        drawn_from = [*self.generators, torch.cuda.default_generators[index]]
        states = [generator.get_state() for generator in drawn_from]
        graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
        for generator in self.generators:
            graph.register_generator_state(generator)
        before = torch.cuda.current_stream()
        # Other threads may allocate memory meanwhile.
        options = {"pool": pool, "stream": self.stream, "capture_error_mode": "thread_local"}
        try:
            with torch.cuda.graph(graph, **options):
                self.result = self.function()
        except RuntimeError as error:  # what torch raises for anything that cannot be recorded
            # The end of a capture that is broken fails too, and hides why.
            first = error.__context__ if isinstance(error.__context__, RuntimeError) else error
            reason = str(first).splitlines()[0].rstrip(".")
            log.warning("no CUDA graph, each operation is launched by itself: %s", reason)
            # Nor does it end what torch began: else this stream would stay the current one, and
            # no memory be freed where there is too little. It raises what has ended already.
            torch.cuda.set_stream(before)
            with suppress(RuntimeError):
                torch._C._cuda_endAllocateToPool(index, pool)
            for generator, state in zip(drawn_from, states, strict=True):
                # The generator may still be in the state of a recording.
                fresh = torch.Generator(self.device)
                generator.graphsafe_set_state(fresh.graphsafe_get_state())
                generator.set_state(state)
        else:
            self.graph = graph

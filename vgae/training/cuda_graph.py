"""Replayed: a training step recorded once as a CUDA graph and launched whole from then on."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Step = Callable[[], tuple[Tensor, ...]]
_ORDINARY = 3  # calls before the recording: kernels are compiled and tuned, moments allocated


class Replayed:
    """Call a step on a GPU as one launch instead of one per kernel.

    A step on a small graph is some dozens of kernels that each run for microseconds: launching
    them one by one takes longer than running them. The first calls are made as usual, and count;
    the next is recorded, and all from then on are replays of it: same tensors, new random numbers.

    Args:
        step: Takes one step and returns tensors. Its shapes never change, it never waits for the
            device, and its optimizer was made with ``capturable=True``.
        generators: All that the step draws from, on the device.
        device: Where the step runs.
    """

    def __init__(
        self, step: Step, generators: Sequence[torch.Generator], device: torch.device
    ) -> None:
        self.step = step
        self.device = device
        self.calls = 0
        self.graph = torch.cuda.CUDAGraph()
        for generator in generators:
            self.graph.register_generator_state(generator)
        self.stream = torch.cuda.Stream(device)
        self.results: tuple[Tensor, ...] = ()

    def __call__(self) -> tuple[Tensor, ...]:
        """Take a step; the results are copies, which no later step overwrites."""
        self.calls += 1
        with torch.cuda.device(self.device):
            if self.calls <= _ORDINARY:
                return self._ordinary()
            if self.calls == _ORDINARY + 1:
                with torch.cuda.graph(self.graph, stream=self.stream):
                    self.results = self.step()
            self.graph.replay()
            return tuple(result.clone() for result in self.results)

    def _ordinary(self) -> tuple[Tensor, ...]:
        # On the stream of the recording, as gradients of leaves are bound to one.
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            results = self.step()
        torch.cuda.current_stream().wait_stream(self.stream)
        return results

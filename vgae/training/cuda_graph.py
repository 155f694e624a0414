"""A training step that is recorded as a CUDA graph and replayed."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Step = Callable[[], tuple[Tensor, ...]]
_ORDINARY = 3  # calls before the recording: kernels are compiled and tuned, moments allocated


class Replayed:
    """Step on a GPU that is one launch instead of one per kernel.

    A step on a small graph has dozens of kernels that run for microseconds each: to launch them
    takes longer than to run them. The first three calls run as usual, the fourth is recorded, and
    all from then on are replays of it: same tensors, new random numbers.

    Args:
        step: Function that takes one step and returns tensors. Its shapes never change, it never
            waits for the device, and its optimizer was made with ``capturable=True``.
        generators: All generators that the step draws from, on the device.
        device: Device of the step.
    """

    def __init__(
        self, step: Step, generators: Sequence[torch.Generator], device: torch.device
    ) -> None:
        self.step, self.device, self.calls = step, device, 0
        self.graph = torch.cuda.CUDAGraph()
        for generator in generators:
            self.graph.register_generator_state(generator)
        self.stream = torch.cuda.Stream(device)
        self.results: tuple[Tensor, ...] = ()

    def __call__(self) -> tuple[Tensor, ...]:
        """Take a step; return copies of its results, which no later step overwrites."""
        self.calls += 1
        with torch.cuda.device(self.device):
            if self.calls <= _ORDINARY:
                # On the stream of the recording, as gradients of leaves are bound to one.
                self.stream.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(self.stream):
                    results = self.step()
                torch.cuda.current_stream().wait_stream(self.stream)
                return results
            if self.calls == _ORDINARY + 1:
                with torch.cuda.graph(self.graph, stream=self.stream):
                    self.results = self.step()
            self.graph.replay()
            return tuple(result.clone() for result in self.results)

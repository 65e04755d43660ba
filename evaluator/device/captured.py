"""A training step as one CUDA graph: a small network's step is hundreds of short kernels, and launching them one by
one may take longer than running them.

The step itself is the trainer's, recorded once a network and replayed (docs.pytorch.org, CUDA semantics, "CUDA
graphs"). A replay reads and writes the same memory each time, so batches are copied into buffers that stay, and
learning rates are tensors. Random numbers go on as they would without a graph: the generator belongs to the recording.
Nothing is compiled.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from evaluator.data.dataset import Images

_logger = logging.getLogger(__name__)

WARM_UP_STEPS = 3
"""Steps before the recording: the first ones make the optimizer's state and choose kernels. They count as training."""

CAPTURE_STEPS = WARM_UP_STEPS + 1
"""Steps until the recording is there, its first replay included."""

Step = Callable[[Images], Tensor]
"""A batch, trained on; its loss, on the device."""


def make_step(plain: Step, optimizer: torch.optim.Optimizer, generator: torch.Generator, captured: bool) -> Step:
    """A step as it is run: on a GPU captured, unless `captured` is False; else as it is. See `CapturedStep`."""
    return CapturedStep(plain, optimizer, generator) if captured and generator.device.type == "cuda" else plain


class CapturedStep:
    """A step that is recorded once it is warm, and replayed from then on; to rounding, what it does unrecorded.

    A batch of another size than the recorded one takes the plain step.
    """

    def __init__(self, plain: Step, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> None:
        """Prepare to record; nothing is run.

        Args:
            plain: The step; neither it nor what it calls may wait for the device.
            optimizer: Whose learning rates the step reads: they become tensors on the device.
            generator: On the device; the step's random numbers come from it, or from torch's own.
        """
        self._plain = plain
        self._optimizer = optimizer
        self._generator = generator
        self._calls = 0
        self._recorded: _Recorded | None = None
        for group in optimizer.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=generator.device)

    def __call__(self, batch: Images) -> Tensor:
        """Train on a batch; its loss, which the next call overwrites."""
        self._calls += 1
        if self._calls <= WARM_UP_STEPS:
            return warm_up(functools.partial(self._plain, batch))
        if self._calls == CAPTURE_STEPS:
            self._recorded = self._record(batch)
        if self._recorded is None or batch.images.shape != self._recorded.batch.images.shape:
            return self._plain(batch)
        self._recorded.batch.images.copy_(batch.images)
        self._recorded.batch.labels.copy_(batch.labels)
        self._recorded.replay()
        return self._recorded.loss

    def _record(self, batch: Images) -> _Recorded | None:
        """Record the step on buffers of this batch's size; None where it cannot be. Nothing is run, nothing changes.

        Raises:
            torch.OutOfMemoryError: There is no room for it.
        """
        static = Images(torch.empty_like(batch.images), torch.empty_like(batch.labels))
        groups = self._optimizer.param_groups
        self._optimizer.zero_grad(set_to_none=True)  # gradients have to be made inside, where they then stay
        for group in groups:
            group["capturable"] = True  # torch asks for it while a step is recorded, and warns of it at any other time
        try:
            return _Recorded(static, *record(functools.partial(self._plain, static), self._generator))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            _logger.warning("a training step could not be recorded; it is launched anew each time: %s", error)
            return None
        finally:
            for group in groups:
                group["capturable"] = False


class _Recorded(NamedTuple):
    """Memory that a replay reads and writes."""

    batch: Images
    loss: Tensor
    replay: Callable[[], None]


def warm_up(function: Callable[[], Tensor]) -> Tensor:
    """Call a function on the stream that is recorded later."""
    main, side = torch.cuda.current_stream(), _side_stream(torch.cuda.current_device())
    side.wait_stream(main)
    with torch.cuda.stream(side):
        result = function()
    main.wait_stream(side)
    return result


def record(function: Callable[[], Tensor], generator: torch.Generator) -> tuple[Tensor, Callable[[], None]]:
    """Record what a function launches.

    Args:
        function: Called once; what it launches is not run.
        generator: Its state belongs to the recording, and moves on with each replay.

    Returns:
        What the function returned, a tensor that a replay fills, and the replay.

    Raises:
        RuntimeError: It does what cannot be recorded, such as waiting for the device.
        torch.OutOfMemoryError: There is no room.
    """
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    torch.cuda.synchronize()
    torch.cuda.empty_cache()  # the recording's memory is its own: what earlier networks left is of no use to it
    with torch.cuda.stream(_side_stream(torch.cuda.current_device())):
        graph.capture_begin(capture_error_mode="thread_local")  # other threads may use the device meanwhile
        try:
            result = function()
        except BaseException:
            _end(graph)
            raise
        graph.capture_end()
    return result, graph.replay


def _end(graph: torch.cuda.CUDAGraph) -> None:
    """End a recording that failed; it may fail to end as well, and the first error says why."""
    try:
        graph.capture_end()
    except RuntimeError as error:
        _logger.debug("after a recording that failed: %s", error)


@functools.cache
def _side_stream(device: int) -> torch.cuda.Stream:
    """One for all networks: memory is kept apart by stream."""
    return torch.cuda.Stream(device)

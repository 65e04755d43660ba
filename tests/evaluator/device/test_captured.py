from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from evaluator.data.dataset import Images
from evaluator.data.statistics import channel_statistics
from evaluator.device import captured
from evaluator.device.captured import CAPTURE_STEPS, WARM_UP_STEPS, CapturedStep, make_step
from evaluator.recipe import Recipe
from evaluator.training import Trainer, fit
from search_space.builder import build_model
from tests.nas_small import SMALL

TINY = dataclasses.replace(SMALL, resolution=16, classes=2, dropout=0.0)
CPU = torch.device("cpu")


def make_images(count: int = 64, device: torch.device = CPU) -> Images:
    """Class 0 is bright above, class 1 below."""
    images = torch.randint(0, 100, (count, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.arange(count) % 2
    images[labels == 0, :, :8] += 120
    images[labels == 1, :, 8:] += 120
    return Images(images.to(device), labels.to(device))


class Recorder:
    """Stands in for CUDA: what is recorded is not run, a replay runs it on the memory it was recorded with."""

    def __init__(self) -> None:
        self.recorded = self.replays = 0

    def record(self, function: Callable[[], Tensor], generator: torch.Generator) -> tuple[Tensor, Callable[[], None]]:
        self.recorded += 1
        loss = torch.full((), torch.nan)

        def replay() -> None:
            self.replays += 1
            loss.copy_(function())

        return loss, replay


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()
    monkeypatch.setattr(captured, "record", found.record)
    monkeypatch.setattr(captured, "warm_up", lambda function: function())
    return found


class Training:
    """A network that is trained on batches of some sizes, one after the other."""

    def __init__(
        self, step_of: Callable[[Trainer, torch.Generator], captured.Step], device: torch.device = CPU
    ) -> None:
        data = make_images(device=device)
        self.data = data
        model = build_model(TINY, generator=torch.Generator().manual_seed(0)).to(device).train()
        self.trainer = Trainer(model, channel_statistics(data.images), Recipe(), mirror=True)
        self.generator = torch.Generator(device).manual_seed(3)
        self.step = step_of(self.trainer, self.generator)

    def run(self, sizes: list[int]) -> list[Tensor]:
        losses = []
        for number, size in enumerate(sizes):
            self.trainer.set_learning_rate((number + 1) / 1024)  # exact in single precision, as the tensor is
            index = torch.arange(number, number + size, device=self.data.device)
            losses.append(self.step(self.data[index]).clone())
        return losses

    def weights(self) -> list[Tensor]:
        return [*self.trainer.model.parameters(), *self.trainer.model.buffers()]


def plain(trainer: Trainer, generator: torch.Generator) -> captured.Step:
    return lambda batch: trainer.step(batch, generator)


def recorded(trainer: Trainer, generator: torch.Generator) -> captured.Step:
    return CapturedStep(plain(trainer, generator), trainer.optimizer, generator)


def test_a_captured_step_trains_as_the_plain_one(recorder: Recorder) -> None:
    sizes = [8] * 10
    trainings = Training(plain), Training(recorded)
    losses = [training.run(sizes) for training in trainings]
    torch.testing.assert_close(losses[1], losses[0], rtol=0, atol=0)
    torch.testing.assert_close(trainings[1].weights(), trainings[0].weights(), rtol=0, atol=0)
    assert torch.equal(trainings[0].generator.get_state(), trainings[1].generator.get_state())
    assert (recorder.recorded, recorder.replays) == (1, 10 - WARM_UP_STEPS)


def test_a_batch_of_another_size_takes_the_plain_step(recorder: Recorder) -> None:
    sizes = [8] * 5 + [5, 8, 3]
    trainings = Training(plain), Training(recorded)
    losses = [training.run(sizes) for training in trainings]
    torch.testing.assert_close(losses[1], losses[0], rtol=0, atol=0)
    assert (recorder.recorded, recorder.replays) == (1, 3)


def test_recording_runs_nothing(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(recorded)
    training.run([8] * WARM_UP_STEPS)
    before = [weight.clone() for weight in training.weights()]
    state = training.generator.get_state()
    assert isinstance(training.step, CapturedStep)
    training.step._record(training.data[torch.arange(8)])
    assert recorder.recorded == 1
    torch.testing.assert_close(training.weights(), before, rtol=0, atol=0)
    assert torch.equal(training.generator.get_state(), state)


def test_a_replay_reads_the_memory_it_was_recorded_with() -> None:
    seen: list[int] = []
    learning_rates: list[float] = []

    def step(batch: Images) -> Tensor:
        seen.append(batch.images.data_ptr())
        learning_rates.append(float(optimizer.param_groups[0]["lr"]))
        return batch.images.float().mean()

    recorder = Recorder()
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.25, fused=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captured, "record", recorder.record)
        patch.setattr(captured, "warm_up", lambda function: function())
        run = CapturedStep(step, optimizer, torch.Generator())
        rate = optimizer.param_groups[0]["lr"]
        assert isinstance(rate, Tensor)
        batches = [Images(torch.full((2, 3, 4, 4), k, dtype=torch.uint8), torch.zeros(2).long()) for k in range(8)]
        losses = []
        for number, batch in enumerate(batches):
            rate.fill_(number)
            losses.append(float(run(batch)))
    assert losses == list(range(8))
    assert len(set(seen[:WARM_UP_STEPS])) == WARM_UP_STEPS  # the batches' own
    assert len(set(seen[WARM_UP_STEPS:])) == 1
    assert seen[-1] not in {batch.images.data_ptr() for batch in batches}
    assert learning_rates == list(range(8))


def test_the_optimizer_may_be_recorded_only_while_it_is(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[bool] = []
    training = Training(recorded)
    groups = training.trainer.optimizer.param_groups

    def record(function: Callable[[], Tensor], generator: torch.Generator) -> tuple[Tensor, Callable[[], None]]:
        asked.extend(group["capturable"] for group in groups)
        assert all(parameter.grad is None for parameter in training.trainer.model.parameters())
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(captured, "record", record)
    losses = training.run([8] * 7)
    assert asked == [True, True]  # tried once
    assert not any(group["capturable"] for group in groups)
    assert (
        "a training step could not be recorded; it is launched anew each time: operation not permitted"
        in (caplog.messages[0])
    )
    torch.testing.assert_close(losses, Training(plain).run([8] * 7), rtol=0, atol=0)


def test_no_room_for_a_recording_is_said(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    def record(function: Callable[[], Tensor], generator: torch.Generator) -> tuple[Tensor, Callable[[], None]]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(captured, "record", record)
    training = Training(recorded)
    with pytest.raises(torch.OutOfMemoryError):
        training.run([8] * CAPTURE_STEPS)
    assert not any(group["capturable"] for group in training.trainer.optimizer.param_groups)


def test_on_a_cpu_a_step_stays_as_it_is() -> None:
    training = Training(plain)
    optimizer, generator = training.trainer.optimizer, training.generator
    assert make_step(training.step, optimizer, generator, captured=True) is training.step
    assert isinstance(optimizer.param_groups[0]["lr"], float)


def test_on_a_gpu_a_step_is_captured_unless_it_is_not_to_be() -> None:
    class Gpu:
        device = torch.device("cuda")

    def step(batch: Images) -> Tensor:
        return batch.images

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captured.torch, "tensor", lambda value, device: value)
        assert isinstance(make_step(step, optimizer, Gpu(), captured=True), CapturedStep)  # type: ignore[arg-type]
        assert make_step(step, optimizer, Gpu(), captured=False) is step  # type: ignore[arg-type]


@pytest.fixture
def gpu() -> Iterator[torch.device]:
    with torch.backends.cudnn.flags(enabled=True, deterministic=True):
        yield torch.device("cuda")


@pytest.mark.gpu
def test_on_a_gpu_a_captured_step_trains_as_the_plain_one(gpu: torch.device) -> None:
    sizes = [32] * 12 + [17, 32, 32]
    trainings = Training(plain, gpu), Training(recorded, gpu)
    losses = [torch.stack(training.run(sizes)) for training in trainings]
    # bf16 rounds to 8 bits: what is not to the bit may differ in the third digit.
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-2, atol=1e-3)
    assert losses[0][-1] < losses[0][0]
    assert torch.equal(trainings[0].generator.get_state(), trainings[1].generator.get_state())
    step = trainings[1].step
    assert isinstance(step, CapturedStep)
    assert step._recorded is not None


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_on_a_gpu_nothing_waits_for_a_replay(gpu: torch.device) -> None:
    training = Training(recorded, gpu)
    training.run([32] * CAPTURE_STEPS)
    index, losses = torch.arange(32, device=gpu), torch.zeros(8, device=gpu)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(8):
            training.trainer.set_learning_rate(0.001)
            losses[number] = training.step(training.data[index])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.isfinite(losses).all()
    assert (losses != 0).all()


@pytest.mark.gpu
@pytest.mark.parametrize("again", [True, False])
def test_on_a_gpu_whole_trainings_agree_and_repeat(gpu: torch.device, again: bool) -> None:
    """The same way twice to the bit; captured and plain to what bf16 leaves of a few epochs."""
    data, index = make_images(512, gpu), torch.arange(512, device=gpu)
    found = []
    for captured_too in (True, again):
        model = build_model(TINY, generator=torch.Generator().manual_seed(0)).to(gpu)
        recipe = Recipe(epochs=3, batch_size=32, learning_rate=0.005)
        how = {"mirror": False, "seed": 1, "captured": captured_too}
        found.append(fit(model, data, index[128:], index[:128], recipe, **how))
    assert all(evaluation.status == "ok" for evaluation in found)
    if again:
        assert found[0].losses == found[1].losses
    else:
        assert found[0].losses == pytest.approx(found[1].losses, rel=0.2, abs=0.1)


@pytest.mark.gpu
@pytest.mark.parametrize("captured_too", [True, False])
def test_on_a_gpu_a_training_that_diverges_says_at_which_step(gpu: torch.device, captured_too: bool) -> None:
    data, index = make_images(512, gpu), torch.arange(512, device=gpu)
    recipe = Recipe(epochs=3, batch_size=32, learning_rate=1e12)
    how = {"mirror": False, "seed": 1, "captured": captured_too}
    evaluation = fit(build_model(TINY).to(gpu), data, index[128:], index[:128], recipe, **how)
    assert evaluation.status == "diverged"
    assert evaluation.reason.endswith("epoch 1")
    assert "at step" in evaluation.reason


@pytest.mark.gpu
def test_on_a_gpu_dropout_goes_on_from_replay_to_replay(gpu: torch.device) -> None:
    layer = torch.nn.Dropout(0.5).train()
    weight = torch.nn.Parameter(torch.zeros(1, device=gpu))
    optimizer = torch.optim.AdamW([weight], fused=True)
    generator = torch.Generator(gpu).manual_seed(0)

    def step(batch: Images) -> Tensor:
        return layer(batch.images.float()).sum() + torch.rand(1, generator=generator, device=gpu).sum()

    run = CapturedStep(step, optimizer, generator)
    batch = Images(torch.ones(64, 3, 4, 4, dtype=torch.uint8, device=gpu), torch.zeros(64, device=gpu).long())
    assert len({float(run(batch)) for _ in range(10)}) == 10

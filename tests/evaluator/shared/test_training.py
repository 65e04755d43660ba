import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluator.data.dataset import Images
from evaluator.shared import training as module
from evaluator.shared.network import SharedNetwork
from evaluator.shared.training import Progress, SharedTraining
from search_space.errors import InputError, NasError
from search_space.seeding import derive_seed
from tests.spaces import SMALL

SIZES: dict[str, Any] = {"width": 1.0, "unstrided": 0, "resolution": 8, "classes": 4}


def images(count: int = 200) -> Images:
    """Four classes, each brighter than the one before."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 4
    noise = torch.randint(60, (count, 3, 8, 8), generator=generator)
    return Images((noise + 50 * labels[:, None, None, None]).to(torch.uint8), labels)


def start(seed: int = 0, data: Images | None = None) -> SharedTraining:
    shared = SharedNetwork(SMALL, **SIZES)
    found = images() if data is None else data
    index = torch.arange(len(found))
    return SharedTraining(shared, found, index, mirror=True, seed=seed, macs=SMALL.macs_range())


@pytest.fixture
def quick_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set is complete after 5 steps, whatever it has learned."""
    monkeypatch.setattr(module, "STEPS_PER_CHOICE", 5 / SharedNetwork(SMALL, **SIZES).alternatives)
    monkeypatch.setattr(module, "LEARNED", 10.0)


def test_it_learns(tmp_path: Path) -> None:
    training = start()
    training.run(tmp_path / "shared.pt", steps=60)
    assert training.steps == 60
    last = [training.step() for _ in range(20)]
    assert sum(last) / len(last) < 0.75 * math.log(4)


def test_weights_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    training = start()
    for _ in range(3):
        training.step()
    weights, velocity = training.weights.clone(), training.velocity.clone()
    trained = []
    network = training._paths.network

    def path(architecture):  # type: ignore[no-untyped-def]
        trained.append(network(architecture))
        return trained[-1]

    monkeypatch.setattr(training._paths, "network", path)
    training.step()
    used = torch.zeros(training.shared.size, dtype=torch.bool)
    for weight in trained[0].parameters():
        used.as_strided(weight.shape, weight.stride(), weight.storage_offset()).fill_(True)
    assert 0 < used.sum() < training.shared.size
    assert torch.equal(training.weights[~used], weights[~used])
    assert torch.equal(training.velocity[~used], velocity[~used])
    assert (training.weights[used] != weights[used]).float().mean() > 0.9
    assert (training.velocity[used] != velocity[used]).float().mean() > 0.9


def test_a_step_is_that_of_the_network_alone() -> None:
    """Two steps, so that momentum counts: what PyTorch's SGD does to the same network by itself."""
    training = start()
    only = SMALL.reference
    training._networks.draw = lambda generator: only  # type: ignore[method-assign]
    alone = training._paths.network(only)
    copies = [weight.detach().clone() for weight in alone.parameters()]
    optimizer = torch.optim.SGD(
        [
            {"params": [c for c in copies if c.dim() > 1], "weight_decay": module.WEIGHT_DECAY},
            {"params": [c for c in copies if c.dim() <= 1]},
        ],
        lr=module.LEARNING_RATE,
        momentum=module.MOMENTUM,
        nesterov=True,
    )
    for step in range(2):
        for group in optimizer.param_groups:
            group["lr"] = module.LEARNING_RATE * (step + 1) / module.WARM_UP
        batch = training._batch()
        gradients = torch.autograd.grad(training._loss(alone, batch), list(alone.parameters()))
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        for copy, gradient in zip(copies, gradients, strict=True):
            copy.grad = gradient * min(1.0, module.CLIP / (float(norm) + 1e-6))
        optimizer.step()
        training.step()
        for copy, weight in zip(copies, alone.parameters(), strict=True):
            torch.testing.assert_close(weight, copy, rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("quick_sets")
@pytest.mark.parametrize("killed", [3, 10, 12])
def test_it_goes_on_to_the_bit(killed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_PER_CHECKPOINT", 0.0)
    monkeypatch.setattr(module, "SECONDS_PER_REPORT", 0.0)
    path = tmp_path / "shared.pt"
    whole, first, second = start(), start(), start()
    whole.run(tmp_path / "whole.pt", steps=20)

    def kill(progress: Progress) -> None:
        if progress.steps == killed + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.run(path, steps=20, report=kill)
    second.load(path)
    assert (second.steps, second.seconds > 0) == (killed, True)
    second.run(path, steps=20)
    for name in ("weights", "averages", "velocity", "trained"):
        assert torch.equal(getattr(second, name), getattr(whole, name))
    other = start(seed=1)
    other.run(path, steps=20)
    assert not torch.equal(other.trained, whole.trained)


@pytest.mark.usefixtures("quick_sets")
def test_one_set_after_another(tmp_path: Path) -> None:
    training, alone = start(), start()
    training.run(tmp_path / "shared.pt", steps=17)
    assert training.steps == 15  # in two more no set would be complete
    for _ in range(5):
        alone.step()
    assert torch.equal(training.trained[0], alone.averages)
    assert training.trained.shape == (3, training.shared.size)
    assert all((a != b).float().mean() > 0.5 for a, b in itertools.combinations(training.trained, 2))
    training.run(tmp_path / "shared.pt")
    assert len(training.trained) == module.MOST_SETS
    assert training.steps == 5 * module.MOST_SETS


@pytest.mark.usefixtures("quick_sets")
def test_each_set_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    sgd = torch.optim.SGD

    def optimizer(groups: Any, rate: float, *args: float, nesterov: bool) -> torch.optim.SGD:
        rates.append(rate)
        return sgd(groups, rate, *args, nesterov=nesterov)

    monkeypatch.setattr(torch.optim, "SGD", optimizer)
    training = start()
    training.run(tmp_path / "shared.pt", steps=10)
    generator = torch.Generator().manual_seed(derive_seed(0, "weights", 2))
    assert torch.equal(training.weights, training.shared.initial(generator))
    assert torch.equal(training.averages, training.weights)
    assert not training.velocity.any()
    assert rates == pytest.approx([module.LEARNING_RATE * (step % 5 + 1) / module.WARM_UP for step in range(10)])


def test_the_first_set_counts_before_it_is_complete(tmp_path: Path) -> None:
    training = start()
    training.run(tmp_path / "shared.pt", steps=8)
    assert torch.equal(training.trained, training.averages[None])


def test_a_set_that_has_not_learned_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS_PER_CHOICE", 1)
    training = start()
    training.run(tmp_path / "shared.pt", steps=4 * training.set_steps)
    assert not training.finished
    training.run(tmp_path / "shared.pt", steps=100)
    assert training.finished
    assert training._begun < 100


@pytest.mark.usefixtures("quick_sets")
@pytest.mark.parametrize(("seconds", "sets"), [(1499.0, 1), (1600.0, 2)])
def test_no_set_is_begun_that_would_not_be_complete(seconds: float, sets: int, tmp_path: Path) -> None:
    training = start()
    training.run(tmp_path / "shared.pt", steps=5)
    training.seconds = 750.0
    training.run(tmp_path / "shared.pt", seconds=seconds, steps=10)
    assert len(training.finished) == sets


def test_time_worked_counts_over_all_processes(tmp_path: Path) -> None:
    training = start()
    training.seconds = 1000.0
    training.run(tmp_path / "shared.pt", seconds=1000.0)
    assert training.steps == 0


def test_averages_follow(tmp_path: Path) -> None:
    training = start()
    before = training.weights.clone()
    for step in range(module.STEPS_PER_AVERAGE):
        assert torch.equal(training.averages, before), step
        training.step()
    decay = ((1 + 8) / (10 + 8)) ** 8
    torch.testing.assert_close(training.averages, decay * before + (1 - decay) * training.weights)


def test_divergence_goes_on_from_the_averages_at_half_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    training = start()
    for _ in range(module.STEPS_PER_AVERAGE):
        training.step()
    training.weights.mul_(1e30)
    training.step()
    assert training._rate == module.LEARNING_RATE / 2
    assert training.weights.isfinite().all()
    assert training.step() < 10
    monkeypatch.setattr(module, "EXPLOSION", 0.0)
    for _ in range(module.MOST_RESTARTS - 1):
        training.step()
    rate = f"{module.LEARNING_RATE / 2**module.MOST_RESTARTS:g}"
    with pytest.raises(NasError, match=rf"the shared training diverged: loss .* at step 15, learning rate {rate}$"):
        training.step()


def test_it_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_PER_REPORT", 0.0)
    told: list[Progress] = []
    start().run(tmp_path / "shared.pt", steps=3, report=told.append)
    assert [progress.steps for progress in told] == [1, 2, 3]
    assert all(progress.images_per_sec > 0 and progress.loss > 0 for progress in told)


def test_checkpoints_are_kept_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_PER_CHECKPOINT", 0.0)
    monkeypatch.setattr(module, "SECONDS_PER_REPORT", 0.0)
    path = tmp_path / "shared.pt"

    def kill(progress: Progress) -> None:
        if progress.steps == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start().run(path, steps=9, report=kill)
    again = start()
    again.load(path)
    assert again.steps == 2


def test_weights_of_another_search_are_refused(tmp_path: Path) -> None:
    training = start()
    training.save(tmp_path / "shared.pt")
    shared = SharedNetwork(SMALL, width=0.5, unstrided=0, resolution=8, classes=4)
    data = images()
    other = SharedTraining(shared, data, torch.arange(200), mirror=True, seed=0, macs=SMALL.macs_range())
    with pytest.raises(InputError, match="shared weights of another space, size or data set"):
        other.load(tmp_path / "shared.pt")


def test_fewer_images_than_a_batch() -> None:
    training = start(data=images(20))
    assert training.batch_size == 20
    assert math.isfinite(training.step())

import dataclasses
import itertools
import math
import time
from types import SimpleNamespace

import pytest
import torch

from evaluator import training
from evaluator.continuation import Continuation
from evaluator.data.dataset import Images
from evaluator.data.statistics import channel_statistics
from evaluator.recipe import Recipe, one_cycle
from evaluator.shared.parent import Inherited
from evaluator.training import Trainer, fit, rated_groups
from search_space.architecture import Architecture, Stage
from search_space.builder import build_model
from search_space.errors import InputError
from search_space.layers import start_small

TINY = Architecture(
    resolution=16,
    classes=2,
    stem=8,
    head=16,
    dropout=0.0,
    stages=(
        Stage(op="mbconv", expand=2, kernel=3, stride=2, channels=8, layers=2, se=0.25),
        Stage(op="mbconv", expand=1, kernel=3, channels=8, layers=1),
        Stage(op="conv", kernel=3, channels=8, layers=1),
    ),
)


def make_images(count=96, seed=0):
    """Class 0 is bright above, class 1 below."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 100, (count, 3, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 2
    images[labels == 0, :, :8] += 120
    images[labels == 1, :, 8:] += 120
    return Images(images, labels)


def train(recipe=None, seed=0, data=None, deadline=math.inf, weights=0):
    data = data or make_images()
    order = torch.arange(len(data))
    model = build_model(TINY, generator=torch.Generator().manual_seed(weights))
    recipe = recipe or Recipe(epochs=4, batch_size=8, learning_rate=0.01)
    return fit(model, data, order[32:], order[:32], recipe, mirror=False, seed=seed, deadline=deadline)


def without_times(evaluation):
    return dataclasses.replace(evaluation, seconds=0.0)


def test_it_learns_and_reports_each_epoch():
    evaluation = train()
    assert evaluation.status == "ok"
    assert evaluation.accuracy == evaluation.curve[-1] > 0.9
    assert len(evaluation.curve) == len(evaluation.losses) == 4
    assert evaluation.losses[-1] < 0.5 < evaluation.losses[0] + 0.2
    assert evaluation.seconds > 0


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    assert without_times(train()) == without_times(train())
    assert without_times(train()) != without_times(train(seed=1))


def test_the_global_random_state_is_neither_read_nor_changed():
    state = torch.get_rng_state()
    first = train(Recipe(epochs=1, batch_size=8))
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    assert without_times(first) == without_times(train(Recipe(epochs=1, batch_size=8)))


def test_a_huge_learning_rate_ends_as_diverged_with_the_step():
    evaluation = train(Recipe(epochs=4, batch_size=8, learning_rate=1e12))
    assert evaluation.status == "diverged"
    assert evaluation.accuracy is None
    assert "loss" in evaluation.reason
    assert "epoch" in evaluation.reason


@pytest.mark.parametrize("value", [math.nan, math.inf, 20.1 * math.log(2)])
def test_a_loss_that_is_not_a_number_or_explodes_ends_as_diverged(monkeypatch, value):
    losses = iter([0.7, value])
    monkeypatch.setattr(Trainer, "step", lambda *args: torch.tensor(next(losses)))
    evaluation = train()
    assert evaluation.status == "diverged"
    assert evaluation.reason == f"training loss {value:.3g} at step 2, epoch 1"


def test_a_validation_loss_that_is_not_a_number_ends_as_diverged(monkeypatch):
    scores = iter([(0.5, 0.7, None), (0.5, math.nan, None)])
    monkeypatch.setattr(Trainer, "score", lambda *args: next(scores))
    evaluation = train()
    assert evaluation.status == "diverged"
    assert evaluation.reason == "validation loss nan after epoch 2"
    assert evaluation.curve == (0.5,)


def test_too_long_ends_as_timeout_and_keeps_the_curve(monkeypatch):
    evaluation = train(deadline=time.monotonic() - 1)
    assert evaluation.status == "timeout"
    assert "0 of 4 epochs" in evaluation.reason
    clock = itertools.count(5)  # looked at once at the start and after each of an epoch's 8 steps and its score
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    evaluation = train(deadline=25)
    assert evaluation.status == "timeout"
    assert evaluation.reason == "not done after 20.0 s: 2 of 4 epochs"
    assert len(evaluation.curve) == len(evaluation.losses) == 2


def test_fewer_images_than_a_batch_are_one_batch():
    assert train(Recipe(epochs=2, batch_size=1000)).status == "ok"


def test_the_first_loss_is_that_of_guessing():
    model, data = build_model(TINY), make_images()
    start_small(model)
    trainer = Trainer(model, channel_statistics(data.images), Recipe(), mirror=False)
    loss = trainer.step(data, torch.Generator().manual_seed(0))
    assert float(loss) == pytest.approx(math.log(2), abs=0.05)
    assert next(model.parameters()).is_contiguous(memory_format=torch.channels_last)


def test_only_weights_decay():
    trainer = Trainer(build_model(TINY), channel_statistics(make_images().images), Recipe(), mirror=False)
    decayed, kept = trainer.optimizer.param_groups
    assert {p.dim() for p in decayed["params"]} == {2, 4}
    assert {p.dim() for p in kept["params"]} == {1}
    assert (decayed["weight_decay"], kept["weight_decay"]) == (Recipe().weight_decay, 0)
    assert sum(len(group["params"]) for group in (decayed, kept)) == len(list(trainer.model.parameters()))


def test_scores_do_not_depend_on_how_images_are_batched(monkeypatch):
    data, model = make_images(), build_model(TINY)
    trainer = Trainer(model, channel_statistics(data.images), Recipe(), mirror=False)
    whole = trainer.score(data, torch.arange(50))[:2]
    monkeypatch.setattr(training, "SCORE_BATCH", 7)
    assert trainer.score(data, torch.arange(50))[:2] == pytest.approx(whole, rel=1e-5)


def test_labels_are_smoothed_as_the_recipe_says():
    data = make_images()
    labels = torch.zeros(len(data), dtype=torch.int64)
    for smoothing in (0.0, 0.3):
        model = build_model(TINY, generator=torch.Generator().manual_seed(0))
        trainer = Trainer(model, channel_statistics(data.images), Recipe(label_smoothing=smoothing), mirror=False)
        logits = torch.tensor([[2.0, -1.0]]).repeat(len(data), 1).requires_grad_()
        loss = trainer.backward(lambda images, logits=logits: logits, data.images, labels)
        likelihood = torch.log_softmax(logits.detach(), 1)
        wanted = torch.nn.functional.one_hot(labels, 2) * (1 - smoothing) + smoothing / 2
        assert float(loss) == pytest.approx(float(-(wanted * likelihood).sum(1).mean()), rel=1e-5)


def test_each_epoch_takes_every_image_once_in_an_order_of_its_own(monkeypatch):
    data, seen, rates = make_images(), [], []
    data.images[:, 0, 0, 0] = torch.arange(len(data), dtype=torch.uint8)  # a mark in each image
    monkeypatch.setattr(
        Trainer, "step", lambda self, batch, _: seen.append(batch.images[:, 0, 0, 0]) or torch.tensor(0.7)
    )
    monkeypatch.setattr(Trainer, "set_learning_rate", lambda self, value: rates.append(value))
    train(Recipe(epochs=3, batch_size=8, learning_rate=0.01), data=data)
    epochs = [torch.cat(seen[8 * i : 8 * i + 8]).tolist() for i in range(3)]
    assert all(sorted(epoch) == list(range(32, 96)) for epoch in epochs)
    assert epochs[0] != sorted(epochs[0])
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert rates == [one_cycle(step, 24, 0.01) for step in range(24)]


def test_what_is_scored_is_what_was_held_out(monkeypatch):
    scored = []
    monkeypatch.setattr(
        Trainer, "score", lambda self, data, index, deadline: scored.append(index.tolist()) or (0.5, 0.7, None)
    )
    train(Recipe(epochs=2, batch_size=8))
    assert scored == [list(range(32))] * 2


def test_a_score_counts_what_is_right():
    data = make_images()
    model = build_model(TINY)
    trainer = Trainer(model, channel_statistics(data.images), Recipe(), mirror=False)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([0.0, 1.0]))
    index = torch.tensor([0, 1, 2, 3, 5])  # labels 0 1 0 1 1: three right
    wrong, right = math.log(1 + math.e), math.log(1 + math.exp(-1))
    assert trainer.score(data, index) == (0.6, pytest.approx((2 * wrong + 3 * right) / 5), None)


@pytest.mark.parametrize(("classes", "top5"), [(5, None), (6, 0.75), (7, 0.75)])
def test_top_5_is_for_six_classes_and_more(classes, top5):
    model = build_model(dataclasses.replace(TINY, classes=classes))
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.arange(classes, 0, -1).float())  # the last classes are the least likely
    labels = torch.tensor([0, 4, 3, classes - 1])
    data = Images(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), labels)
    trainer = Trainer(model, channel_statistics(data.images), Recipe(), mirror=False)
    score = trainer.score(data, torch.arange(4))
    assert (score.accuracy, score.top5_accuracy) == (0.25, top5)


def test_a_steps_gradient_is_that_of_its_batch_alone_in_full_precision_on_a_cpu():
    data, gradients = make_images(), []
    for before in (0, 1):
        model = build_model(TINY, generator=torch.Generator().manual_seed(0))
        trainer = Trainer(model, channel_statistics(data.images), Recipe(), mirror=False)
        trainer.set_learning_rate(0.0)
        for _ in range(before + 1):
            trainer.step(data, torch.Generator().manual_seed(0))
        assert not trainer._precision()._enabled
        gradients.append(model.classifier.weight.grad.clone())
    torch.testing.assert_close(*gradients)


def test_a_training_that_goes_on_has_a_second_cycle(tmp_path, monkeypatch):
    rates = []
    monkeypatch.setattr(Trainer, "set_learning_rate", lambda self, value: rates.append(value))
    monkeypatch.setattr(Trainer, "step", lambda *args: torch.tensor(0.7))
    data, order = make_images(), torch.arange(96)
    kept = Continuation(tmp_path / "state.pt", 1)
    recipe = Recipe(epochs=3, batch_size=8, learning_rate=0.01)
    fit(build_model(TINY), data, order[32:], order[:32], recipe, mirror=False, seed=0, kept=kept)
    assert rates == [one_cycle(s, 8, 0.01) for s in range(8)] + [one_cycle(s, 16, 0.01) for s in range(16)]
    assert (tmp_path / "state.pt").exists()


def test_fields_at_their_bounds_are_allowed():
    edge = Recipe(epochs=1, batch_size=2, learning_rate=1e-9, weight_decay=0.0, label_smoothing=0.0)
    assert edge.weight_decay == 0
    with pytest.raises(InputError, match="learning_rate must be above 0"):
        Recipe(learning_rate=-1.0)


def test_networks_see_pixels_of_mean_zero_and_deviation_one() -> None:
    class Seen(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert x.mean((0, 2, 3)).abs().max() < 1e-4
            assert (x.std((0, 2, 3)) - 1).abs().max() < 1e-4
            return super().forward(x.mean((2, 3)))

    data = make_images()
    trainer = Trainer(Seen(3, 2), channel_statistics(data.images), Recipe(), mirror=False)
    trainer.score(data, torch.arange(len(data.images)))


def test_inherited_weights_are_not_started_small_and_train_at_a_lower_rate(monkeypatch):
    begun = {}

    class Watched(Trainer):
        def step(self, batch, generator):
            if not begun:
                begun["scale"] = float(self.model.blocks[0][1].bn3.weight.detach().abs().sum())
                begun["seen"] = int(self.model.bn1.num_batches_tracked)
                begun["mean"] = self.mean.flatten().tolist()
                begun["rates"] = sorted({group.get("lr_scale", 1.0) for group in self.optimizer.param_groups})
            return super().step(batch, generator)

    monkeypatch.setattr(training, "Trainer", Watched)
    data, order = make_images(), torch.arange(96)
    pixels = torch.full((1, 3, 1, 1), 90.0), torch.full((1, 3, 1, 1), 40.0)
    recipe = Recipe(epochs=1, batch_size=8)
    for inherited, wanted in (
        (Inherited(pixels, 0.3, 2), {"scale": 8.0, "seen": 2, "mean": [90.0] * 3, "rates": [0.3, 1.0]}),
        (Inherited(), {"scale": 8.0, "seen": 0, "rates": [1.0]}),
        (None, {"scale": 0.0, "seen": 0, "rates": [1.0]}),
    ):
        begun.clear()
        found = fit(build_model(TINY), data, order[32:], order[:32], recipe, mirror=False, seed=0, inherited=inherited)
        assert found.status == "ok"
        assert begun | wanted == begun


def test_a_share_of_the_rate_is_that_of_all_but_the_classifier():
    model = build_model(TINY)
    groups = rated_groups(model, 0.1, 0.25)
    classifier = {id(p) for p in model.classifier.parameters()}
    for group in groups:
        assert {id(p) in classifier for p in group["params"]} == {"lr_scale" not in group}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0, 0.1, 0.0]

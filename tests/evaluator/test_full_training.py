import dataclasses
from typing import Literal

import pytest
import torch

from evaluator.data.dataset import Images
from evaluator.full_recipe import FullRecipe
from evaluator.full_training import FullTrainer, ProcessGroup
from search_space.builder import Network
from search_space.errors import NasError
from tests.nas_small import SMALL

RECIPE = FullRecipe(epochs=2, batch_size=16, drop_path=0.3, ema=0.9, rand_augment=1, mixup=0.2)


def make_data(count: int = 64) -> Images:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 5
    images = torch.randint(256, (count, 3, 16, 16), generator=generator) // 2 + 20 * labels[:, None, None, None]
    return Images(images.to(torch.uint8), labels)


DATA = make_data()
ALL = torch.arange(len(DATA))


def make(recipe: FullRecipe = RECIPE, seed: int = 0) -> FullTrainer:
    return FullTrainer(SMALL, DATA, recipe, mirror=True, seed=seed)


def run(trainer: FullTrainer, *epochs: int) -> list[float]:
    return [loss for epoch in epochs for _, _, loss in trainer.epoch(DATA, ALL, epoch)]


def weights(trainer: FullTrainer) -> list[torch.Tensor]:
    return [*trainer.model.state_dict().values(), *trainer.averaged.state_dict().values()]


def assert_same(a: FullTrainer, b: FullTrainer) -> None:
    assert all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop"])
def test_a_continuation_gives_the_same_weights_to_the_bit(optimizer: str) -> None:
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer)
    whole, first, second = make(recipe), make(recipe), make(recipe)
    run(whole, 0, 1)
    run(first, 0)
    torch.rand(7)  # what others draw does not matter
    second.load_state(first.state())
    run(second, 1)
    assert_same(whole, second)


def test_the_seed_decides() -> None:
    a, b, c = make(), make(), make(seed=1)
    for trainer in (a, b, c):
        run(trainer, 0)
    assert_same(a, b)
    assert not torch.equal(weights(a)[0], weights(c)[0])


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    run(make(), 0)
    assert torch.equal(torch.rand(3), wanted)


def test_it_learns() -> None:
    recipe = FullRecipe(epochs=30, batch_size=16)
    trainer = make(recipe)
    run(trainer, *range(30))
    score = trainer.score_averaged(DATA, ALL)
    assert score.accuracy > 0.8
    assert score.loss < 1


def test_micro_batches_add_up_to_the_batch() -> None:
    """Without BatchNorm's dependence on the batch, two halves give the gradient of the whole."""
    plain = FullRecipe(batch_size=16, optimizer="rmsprop", small_start=False)
    gradients = []
    for parts in (1, 2, 3):
        trainer = make(dataclasses.replace(plain, accumulate=parts))
        trainer.model.eval()
        loss = trainer.step(DATA[ALL[:16]], torch.Generator().manual_seed(0))
        gradients.append((loss, [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]))
    for loss, parts in gradients[1:]:
        torch.testing.assert_close(loss, gradients[0][0])
        for one, two in zip(gradients[0][1], parts, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-6)


def test_the_average_follows_the_weights() -> None:
    trainer = make(dataclasses.replace(RECIPE, ema=0.5))
    before = trainer.averaged.state_dict()["classifier.weight"].clone()
    run(trainer, 0)
    trainer = make(dataclasses.replace(RECIPE, ema=0.5))
    trainer.step(DATA[ALL[:16]], torch.Generator().manual_seed(0))
    now = trainer.model.state_dict()["classifier.weight"]
    decay = min(0.5, 2 / 11)
    torch.testing.assert_close(trainer.averaged.state_dict()["classifier.weight"], decay * before + (1 - decay) * now)
    assert not trainer.averaged.training or trainer.averaged is not trainer.model


def test_no_average_scores_the_network_itself() -> None:
    trainer = make(dataclasses.replace(RECIPE, ema=0.0))
    assert trainer.averaged is trainer.model


def test_divergence_is_said() -> None:
    trainer = make(dataclasses.replace(RECIPE, learning_rate=1e9, optimizer="rmsprop", schedule="exponential"))
    with pytest.raises(NasError, match=r"diverged: loss .* in epoch 1; try a lower --learning-rate"):
        run(trainer, 0, 1)


def test_processes_share_each_batch() -> None:
    seen = []
    for rank in range(2):
        trainer = make()
        trainer.group = ProcessGroup(rank, 2)
        trainer.step = lambda batch, generator: seen.append(batch) or torch.zeros(())  # type: ignore[method-assign,assignment]
        run(trainer, 0)
    assert [len(batch) for batch in seen] == [8] * 8
    together = torch.cat([batch.images for batch in seen]).flatten(1).unique(dim=0)
    assert len(together) == 64


def test_weights_can_be_given() -> None:
    def prepare(network: Network) -> None:
        network.classifier.bias.data.fill_(3)

    trainer = FullTrainer(SMALL, DATA, RECIPE, mirror=True, seed=0, prepare=prepare)
    assert (trainer.averaged.state_dict()["classifier.bias"] == 3).all()


def test_the_pixels_that_weights_are_used_to() -> None:
    given = torch.full((1, 3, 1, 1), 9.0), torch.full((1, 3, 1, 1), 7.0)
    trainer = FullTrainer(SMALL, DATA, RECIPE, mirror=True, seed=0, prepare=lambda network: given)
    assert torch.equal(trainer.mean, given[0])
    assert torch.equal(trainer.std, given[1])


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop"])
def test_the_backbone_learns_at_its_share_of_the_rate(optimizer: Literal["adamw", "rmsprop"]) -> None:
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer, backbone_rate=0.25)
    trainer = make(recipe)
    trainer.set_learning_rate(0.8)
    classifier = {id(parameter) for parameter in trainer.model.get_submodule("classifier").parameters()}
    for group in trainer.optimizer.param_groups:
        for parameter in group["params"]:
            assert group["lr"] == (0.8 if id(parameter) in classifier else 0.2)
            assert (group["weight_decay"] > 0) == (parameter.dim() > 1)
    grouped = [id(parameter) for group in trainer.optimizer.param_groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(map(id, trainer.model.parameters()))


def test_a_frozen_backbone_computes_as_in_evaluation() -> None:
    trainer = make(dataclasses.replace(RECIPE, backbone_rate=0.0))
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    run(trainer, 0)
    changed = {name for name, tensor in trainer.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    training = {name for name, module in trainer.model.named_modules() if module.training}
    assert training == {"dropout"}


@pytest.mark.parametrize(("crop", "parts"), [("shift", False), ("resized", True)])
def test_the_recipe_says_how_images_are_cropped(crop: Literal["shift", "resized"], parts: bool) -> None:
    """Of an image that brightens to the right, a part that is enlarged brightens more slowly."""
    ramp = (torch.arange(16) * 16).to(torch.uint8).expand(64, 3, 16, 16)
    trainer = FullTrainer(SMALL, DATA, FullRecipe(crop=crop), mirror=False, seed=0)
    images, labels = trainer.varied(Images(ramp, DATA.labels), torch.Generator().manual_seed(0))
    assert torch.equal(labels, DATA.labels)
    steps = images.float().diff(dim=3)[:, 0, 4:12, 4:12]
    assert bool((steps < 15).any()) == parts


def test_the_averaged_weights_are_scored_and_the_others_trained_on() -> None:
    trainer = make(dataclasses.replace(RECIPE, ema=0.5))
    with torch.no_grad():
        trainer.averaged.classifier.weight.zero_()  # type: ignore[union-attr, operator]
        trainer.averaged.classifier.bias.copy_(torch.tensor([0.0, 0, 9, 0, 0]))  # type: ignore[union-attr, operator]
    model = trainer.model
    assert trainer.score_averaged(DATA, ALL).accuracy == float((DATA.labels == 2).float().mean())
    assert trainer.model is model


def test_every_epoch_has_an_order_of_its_own() -> None:
    orders = []
    for epoch in (0, 1, 0):
        seen: list[torch.Tensor] = []
        trainer = make()
        trainer.step = lambda batch, _, seen=seen: seen.append(batch.images) or torch.zeros(())  # type: ignore[method-assign, misc]
        run(trainer, epoch)
        orders.append(torch.cat(seen))
    assert torch.equal(orders[0], orders[2])
    assert not torch.equal(orders[0], orders[1])


@pytest.mark.parametrize(("batch", "parts"), [(10, 4), (64, 10), (3, 2)])
def test_no_part_of_a_batch_is_a_single_image(batch: int, parts: int) -> None:
    """BatchNorm refuses one pixel of one image."""
    trainer = make(FullRecipe(batch_size=max(batch, 2 * parts), accumulate=parts))
    sizes = []
    trainer.model.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    trainer.step(DATA[ALL[:batch]], torch.Generator())
    assert sum(sizes) == batch
    assert min(sizes) >= 2

import dataclasses
import math

import pytest
import torch

from evaluator.full_recipe import RECIPES, FullRecipe, RMSProp
from search_space.errors import InputError


def test_the_papers_recipe() -> None:
    """EfficientNet, section 5.2."""
    recipe = RECIPES["efficientnet"]
    assert (recipe.optimizer, recipe.batch_size, recipe.learning_rate, recipe.weight_decay) == (
        "rmsprop",
        256,
        0.016,
        1e-5,
    )
    assert (recipe.label_smoothing, recipe.drop_path, recipe.ema) == (0.1, 0.2, 0.9999)
    assert recipe.crop == "resized"
    rates = [recipe.learning_rate_at(epoch * 100, 100) for epoch in (5, 12, 24, 240)]
    assert rates == pytest.approx([0.016 * 0.97**k for k in (2, 5, 10, 100)])
    assert recipe.learning_rate_at(0, 100) == pytest.approx(0.016 / 500)
    assert recipe.learning_rate_at(249, 100) == pytest.approx(0.016 * 0.97 * 0.5)


def test_a_short_training_warms_up_in_a_tenth() -> None:
    recipe = dataclasses.replace(RECIPES["efficientnet"], epochs=10)
    assert recipe.learning_rate_at(49, 100) == pytest.approx(0.008)
    assert recipe.learning_rate_at(100, 100) == pytest.approx(0.016)


def test_one_cycle_rises_and_falls() -> None:
    rates = [FullRecipe(epochs=2).learning_rate_at(step, 50) for step in range(100)]
    assert max(rates) == pytest.approx(FullRecipe().learning_rate)
    assert rates[0] < 0.1 * max(rates)
    assert rates[-1] < 0.1 * max(rates)


def test_fine_tuning_warms_up_for_less_and_keeps_more() -> None:
    recipe = RECIPES["finetune"]
    rates = [recipe.learning_rate_at(step, 50) for step in range(recipe.epochs * 50)]
    assert rates.index(max(rates)) == len(rates) // 10 - 1
    assert 0 < recipe.backbone_rate < 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("accumulate", 0),
        ("accumulate", 65),
        ("optimizer", "sgd"),
        ("schedule", "cosine"),
        ("crop", "centre"),
        ("warm_up", 0.0),
        ("backbone_rate", 1.5),
        ("drop_path", 1.0),
        ("ema", 1.0),
        ("rand_augment", -1),
        ("magnitude", 11.0),
        ("mixup", -0.1),
        ("epochs", 0),
    ],
)
def test_fields_out_of_range_are_named(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{field} must be .*, got {value!r}"):
        FullRecipe(**{field: value})  # type: ignore[arg-type]


def test_rmsprop_takes_two_steps_by_hand() -> None:
    weight = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = RMSProp([weight], lr=0.1, decay=0.9, momentum=0.5, eps=0.01, weight_decay=0.25)
    m, v, w = 1.0, 0.0, 2.0
    for gradient in (3.0, -1.0):
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        g = gradient + 0.25 * w
        m = 0.9 * m + 0.1 * g * g
        v = 0.5 * v + 0.1 * g / math.sqrt(m + 0.01)
        w -= v
        assert weight.item() == pytest.approx(w, rel=1e-12)


def test_rmsprops_first_step_is_not_too_long() -> None:
    """PyTorch's own, from a mean square of 0, moves 0.32 at once where this moves 0.1."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = RMSProp([weight], lr=0.1)
    weight.grad = torch.ones(1)
    optimizer.step()
    assert weight.item() == pytest.approx(-0.1, rel=1e-3)


def test_rmsprop_leaves_what_has_no_gradient() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    RMSProp([weight], lr=0.1).step()
    assert weight.item() == 1

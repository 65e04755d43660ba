import dataclasses
import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from evaluator.registry import EVALUATORS
from evaluator.training_free import (
    GradientNorm,
    Params,
    Snip,
    Synflow,
    TrainingFree,
    TrainingFreeConfig,
    gradient_l1,
    log_synflow,
    snip,
)
from search_space.architecture import Architecture, Stage
from search_space.errors import InputError
from search_space.io import named

SCORES = ("gradient-norm", "snip", "synflow", "params")
SMALL = Architecture(
    resolution=32,
    classes=10,
    stem=8,
    head=16,
    stages=(Stage(op="mbconv", expand=2, kernel=3, stride=2, channels=8, se=0.25, layers=2),),
)


def make(name: str, **settings: Any) -> TrainingFree:
    cls, _ = named.load_object("evaluator", name, EVALUATORS)
    evaluator: TrainingFree = cls(TrainingFreeConfig(**settings))
    return evaluator


class Tiny(nn.Module):
    """A 1x1 convolution from one channel to one, the mean over pixels, a linear layer to two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, bias=False)
        self.linear = nn.Linear(1, 2)
        with torch.no_grad():
            self.conv.weight.fill_(-2.0)
            self.linear.weight.copy_(torch.tensor([[0.5], [-0.5]]))
            self.linear.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.conv(x).mean((2, 3)))  # type: ignore[no-any-return]


IMAGE = torch.tensor([[[[1.0, 2.0]]]])  # mean 1.5, so the feature is -3 and the logits are -1.5 and 1.5
LABEL = torch.tensor([0])
# dL/dlogits = softmax - onehot = (q - 1, 1 - q) with q = 1 / (1 + e^3)
SLACK = 1 - 1 / (1 + math.exp(3))
CONV_GRADIENT = 1.5 * -SLACK  # mean pixel * (0.5 * -slack + -0.5 * slack)
LINEAR_GRADIENT = 3 * SLACK  # feature * dL/dlogit: 3 slack for one class, -3 slack for the other


def test_gradient_l1_by_hand() -> None:
    assert gradient_l1(Tiny(), IMAGE, LABEL) == pytest.approx(abs(CONV_GRADIENT) + 2 * LINEAR_GRADIENT, rel=1e-6)


def test_snip_by_hand() -> None:
    expected = 2 * abs(CONV_GRADIENT) + 2 * 0.5 * LINEAR_GRADIENT
    assert snip(Tiny(), IMAGE, LABEL) == pytest.approx(expected, rel=1e-6)


def test_log_synflow_by_hand() -> None:
    # Positive weights 2, 0.5, 0.5 and an image of ones: R = 2 * 0.5 + 2 * 0.5, dR/dconv = 1, dR/dlinear = 2 each.
    expected = 2 * math.log(2) + 2 * 0.5 * math.log(3)
    assert log_synflow(Tiny(), (1, 2, 2)) == pytest.approx(expected, rel=1e-12)


def test_biases_and_norms_do_not_count() -> None:
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.zero_()
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(2), linear)
    images = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).reshape(2, 2, 1, 1)
    # Normalised to +-1 and 0, and equal logits: each of the two weights of the first input has the gradient
    # (0.5 * 1 - 0.5 * -1) / 2 = 0.5 up to sign; those of the second none.
    assert gradient_l1(model, images, torch.tensor([0, 1])) == pytest.approx(1.0, rel=1e-4)
    assert snip(model, images, torch.tensor([0, 1])) == 0


@pytest.mark.parametrize("name", SCORES)
def test_the_reference_is_in_the_middle_and_trial_seeds_do_not_matter(name: str) -> None:
    evaluator = make(name, resolution=16, batch_size=4)
    reference = evaluator.evaluate(Architecture.load("efficientnet-b0"), 7)
    assert reference.status == "ok"
    assert reference.accuracy == 0.5
    first, second = evaluator.evaluate(SMALL, 1), evaluator.evaluate(SMALL, 2, 4)
    assert first.accuracy == second.accuracy
    assert first.accuracy is not None
    assert 0 < first.accuracy < 0.5


@pytest.mark.parametrize("cls", [GradientNorm, Snip, Synflow])
def test_another_seed_is_another_noise(cls: type[TrainingFree]) -> None:
    scores = [cls(TrainingFreeConfig(resolution=16, batch_size=4, seed=s)).log_score(SMALL) for s in (0, 0, 1)]
    assert scores[0] == scores[1] != scores[2]


def test_accuracy_is_the_score_against_the_reference() -> None:
    evaluator = Params(TrainingFreeConfig())
    accuracy = evaluator.evaluate(SMALL, 0).accuracy
    ratio = 5_288_548 / math.exp(evaluator.log_score(SMALL))
    assert accuracy == pytest.approx(1 / (1 + ratio**0.2), rel=1e-9)


def test_dropout_and_global_random_state_play_no_part() -> None:
    evaluator = GradientNorm(TrainingFreeConfig(resolution=16, batch_size=4))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    plain = evaluator.log_score(SMALL)
    assert torch.equal(state, torch.get_rng_state())
    assert evaluator.log_score(dataclasses.replace(SMALL, dropout=0.9)) == plain


def test_a_score_that_broke_down_is_no_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = Params(TrainingFreeConfig())
    monkeypatch.setattr(evaluator, "log_score", lambda architecture: -math.inf)
    evaluation = evaluator.evaluate(SMALL, 0)
    assert (evaluation.status, evaluation.accuracy, evaluation.reason) == ("diverged", None, "log score -inf")


def test_it_warns() -> None:
    assert "score exploited is a score broken" in GradientNorm.caveat(TrainingFreeConfig())


@pytest.mark.parametrize(
    ("field", "value"), [("resolution", 7), ("batch_size", 1), ("classes", 1), ("seed", -1), ("threads", 0)]
)
def test_config_rejects(field: str, value: int) -> None:
    with pytest.raises(InputError, match=re.escape(f"{field} must be") + f".* got {value}"):
        TrainingFreeConfig(**{field: value})

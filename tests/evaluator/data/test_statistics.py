from __future__ import annotations

import math

import pytest
import torch

from evaluator.data.statistics import channel_statistics


def test_pixels_are_normalised_by_channel() -> None:
    images = torch.stack([torch.full((4, 4), 10), torch.full((4, 4), 30)]).to(torch.uint8)
    images = images[:, None].repeat(1, 3, 1, 1)
    mean, std = channel_statistics(images)
    assert mean.flatten().tolist() == [20, 20, 20]
    assert std.flatten().tolist() == pytest.approx([math.sqrt(3200 / 31)] * 3)
    assert float(channel_statistics(images[:1])[1].min()) == 1  # a constant channel is not divided by zero

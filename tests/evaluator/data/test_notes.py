from __future__ import annotations

from typing import Any

import pytest
import torch

from evaluator.data.dataset import Dataset, Images, split
from evaluator.data.notes import notes

NOISE = torch.randint(256, (1000, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def lines(sizes: tuple[int, ...] = (500, 500), share: float = 0.5, images: torch.Tensor = NOISE, **fields: Any) -> str:
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    train = Images(images[: len(labels)], labels)
    names = tuple(f"class{i}" for i in range(len(sizes)))
    usual = {"name": "own", "classes": names, "train": train, "load_test": lambda: train, "mirror": False}
    return "\n".join(notes(Dataset(**{**usual, **fields}), *split(labels, share, 0)))


def test_nothing_is_said_of_data_that_are_as_they_should_be() -> None:
    assert lines() == ""


def test_what_the_data_set_says_of_itself_comes_first() -> None:
    assert lines(notes=("a folder a class",), mirror=True).startswith("a folder a class\nImages are flipped")


def test_mirroring_is_said_with_the_way_out() -> None:
    assert "--no-mirror" in lines(mirror=True)


def test_tiny_classes_are_named_the_smallest_first() -> None:
    assert "few images to train on: class2 4, class1 15; below 20" in lines((900, 30, 8))
    many = lines((800, *[10] * 12))
    assert "few images to train on: class1 5, class10 5, " in many
    assert many.count("class") == 10 + 1
    assert "5 and 2 more; below 20" in many


@pytest.mark.parametrize(("count", "error"), [(100, "5.0"), (50, "7.1")])
def test_few_scored_images_are_said_with_their_error(count: int, error: str) -> None:
    text = lines(share=count / 1000)
    assert f"scored on {count} held-out images: its standard error is up to {error} points" in text
    assert "held-out" not in lines(share=0.2)


def test_images_of_one_colour_are_said() -> None:
    assert "nearly of one colour: their pixels have a standard deviation of 0.0 of 255" in lines(
        images=NOISE // 255 * 0
    )
    assert "one colour" not in lines(images=NOISE // 8)

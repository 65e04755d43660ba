import pytest
import torch

from evaluator.data.augmentation import OPERATIONS, mixup, rand_augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 6, side: int = 16) -> torch.Tensor:
    return torch.randint(256, (count, 3, side, side), generator=generator(9)).float()


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "auto-contrast"])
def test_no_strength_changes_nothing(name: str) -> None:
    images = pictures()
    torch.testing.assert_close(OPERATIONS[name](images, torch.zeros(6)), images, atol=1e-2, rtol=0)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ("identity", "auto-contrast")])
def test_strength_changes_each_image_by_its_own(name: str) -> None:
    images = (pictures() * 0.5 + 40).floor()
    strength = torch.tensor([0.9, -0.9, 0.0, 0.9, -0.9, 0.0])
    changed = OPERATIONS[name](images, strength)
    difference = (changed - images).abs().amax((1, 2, 3))
    assert (difference[[0, 1, 3, 4]] > 1).all()
    assert (difference[[2, 5]] < 1e-2).all()


def test_values_by_hand() -> None:
    image = torch.tensor([0.0, 100.0, 200.0, 250.0]).expand(1, 3, 1, 4)
    one = torch.ones(1)
    assert OPERATIONS["brightness"](image, -one)[0, 0, 0].tolist() == pytest.approx([0, 10, 20, 25], abs=1e-3)
    assert OPERATIONS["posterize"](image, one)[0, 0, 0].tolist() == [0, 96, 192, 240]
    assert OPERATIONS["solarize"](image, 0.5 * one)[0, 0, 0].tolist() == [0, 100, 55, 5]
    assert OPERATIONS["auto-contrast"](image / 2, one)[0, 0, 0].tolist() == pytest.approx([0, 102, 204, 255], abs=0.1)


def test_translation_moves_pixels_and_fills_with_grey() -> None:
    images = pictures(1, 20)
    moved = OPERATIONS["translate-x"](images, torch.tensor([0.5]))  # 0.3 half sides: 3 pixels
    torch.testing.assert_close(moved[..., :17], images[..., 3:], atol=1e-2, rtol=0)
    assert torch.allclose(moved[..., 17:], torch.tensor(128.0))


def test_rotation_by_thirty_degrees_keeps_the_middle() -> None:
    image = torch.full((1, 3, 17, 17), 50.0)
    image[..., 8, 8] = 250
    turned = OPERATIONS["rotate"](image, torch.ones(1))
    assert turned[0, 0, 8, 8].item() == pytest.approx(250, abs=1)
    assert turned[0, 0, 0, 0].item() == pytest.approx(128, abs=1)


def test_images_stay_in_range_and_follow_the_generator() -> None:
    images = pictures(64)
    before = images.clone()
    changed = rand_augment(images, generator(1), 2, 10)
    assert torch.equal(images, before)
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert torch.equal(changed, rand_augment(images, generator(1), 2, 10))
    assert not torch.equal(changed, rand_augment(images, generator(2), 2, 10))


def test_mixup_blends_images_and_targets_alike() -> None:
    images = torch.arange(4.0)[:, None, None, None].expand(4, 3, 2, 2) * 10
    mixed, targets = mixup(images, torch.arange(4), 4, 0.4, generator(3))
    assert targets.sum(1).tolist() == pytest.approx([1] * 4)
    share = targets[0, 0].item()
    assert 0 < share < 1
    assert mixed[0, 0, 0, 0].item() == pytest.approx((1 - share) * 30, abs=1e-4)
    assert mixed[1, 0, 0, 0].item() == pytest.approx(share * 10 + (1 - share) * 20, abs=1e-4)
    assert torch.equal(mixed, mixup(images, torch.arange(4), 4, 0.4, generator(3))[0])

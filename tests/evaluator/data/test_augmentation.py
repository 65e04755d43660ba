import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluator.data.augmentation import OPERATIONS, augment, mixup, rand_augment, random_resized_crop


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


def ramp(count: int, side: int = 64) -> torch.Tensor:
    """Images whose channels are their pixels' x and y, 0 to 1."""
    place = (torch.arange(side) + 0.5) / side
    return torch.stack([place.expand(side, side), place[:, None].expand(side, side)]).expand(count, 2, side, side)


def test_a_random_crop_shows_a_part_of_random_place_size_and_shape() -> None:
    images = random_resized_crop(ramp(2000), generator(4), mirror=False)
    low, high = images.amin((2, 3)), images.amax((2, 3))
    width, height = (high - low).clamp(max=1).unbind(1)
    area, aspect = width * height, width / height
    assert 0.06 < area.min() < 0.12
    assert area.max() > 0.9
    assert 0.45 < area.mean() < 0.6
    assert 0.7 < aspect.min() < 0.8
    assert 1.25 < aspect.max() < 1.4
    small = area < 0.2  # these lie everywhere
    for axis in range(2):
        assert low[small, axis].min() < 0.05
        assert high[small, axis].max() > 0.95
    assert (images[:, 0].diff(dim=2) >= 0).all()
    assert (images[:, 1].diff(dim=1) >= 0).all()


def test_a_random_crop_flips_half_of_the_images_where_it_may() -> None:
    images = random_resized_crop(ramp(400, 16), generator(4), mirror=True)
    flipped = images[:, 0, 8, 0] > images[:, 0, 8, -1]
    assert 150 < int(flipped.sum()) < 250
    assert torch.equal(images, random_resized_crop(ramp(400, 16), generator(4), mirror=True))


@given(seed=st.integers(0, 1000), side=st.sampled_from([8, 9, 16]), mirror=st.booleans())
def test_augmented_images_are_windows_of_the_padded_ones(seed: int, side: int, mirror: bool) -> None:
    source = generator(seed)
    images = torch.randint(1, 256, (5, 3, side, side), generator=source, dtype=torch.uint8)
    margin = max(1, side // 8)
    padded = torch.nn.functional.pad(images, [margin] * 4)
    for image, moved in zip(padded, augment(images, source, mirror), strict=True):
        windows = [image[:, y : y + side, x : x + side] for y in range(2 * margin + 1) for x in range(2 * margin + 1)]
        windows += [window.flip(2) for window in windows] if mirror else []
        assert any(torch.equal(moved, window) for window in windows)


def test_each_image_moves_and_flips_by_itself() -> None:
    images = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8).repeat(200, 3, 1, 1)
    moved = augment(images, generator(), mirror=True)
    assert len(moved.unique(dim=0)) == 18  # 3 x 3 places, flipped or not

"""Augmentation of whole batches of images on their device: random shifts and crops, RandAugment's operations, mixup.

RandAugment (arXiv:1909.13719) picks operations at random, all with one strength. Here each image of a batch draws its
own operation and direction; an operation is applied at once to all images that drew it.
Images are float (N, C, H, W), 0 to 255; `augment` takes bytes as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Operation = Callable[[Tensor, Tensor], Tensor]
"""Images (N, C, H, W) and signed strengths (N,), -1 to 1, to images."""
CROP_AREA = 0.08
"""Smallest share of an image that a random crop shows."""
CROP_ASPECT = 4 / 3
"""Most that a random crop is wider than high, or higher than wide."""


def augment(images: Tensor, generator: torch.Generator, mirror: bool) -> Tensor:
    """Each image of a batch (N, C, H, W) moved by up to an eighth of its side and, where allowed, flipped."""
    count, _, side, _ = images.shape
    margin = max(1, side // 8)
    windows = functional.pad(images, [margin] * 4).unfold(2, side, 1).unfold(3, side, 1)  # (N, C, Y, X, H, W)
    offsets = torch.randint(2 * margin + 1, (2, count), generator=generator, device=images.device)
    moved = windows[torch.arange(count, device=images.device), :, offsets[0], offsets[1]]
    if not mirror:
        return moved
    flip = torch.rand(count, generator=generator, device=images.device) < 0.5
    return torch.where(flip[:, None, None, None], moved.flip(3), moved)


def rand_augment(images: Tensor, generator: torch.Generator, operations: int, magnitude: float) -> Tensor:
    """Apply random operations to each image.

    Args:
        images: Float (N, C, H, W), 0 to 255.
        generator: On the images' device.
        operations: Operations an image.
        magnitude: Strength, 0 to 10.
    """
    count, device = len(images), images.device
    images = images.clone()
    for _ in range(operations):
        chosen = torch.randint(len(OPERATIONS), (count,), generator=generator, device=device)
        sign = 2.0 * torch.randint(2, (count,), generator=generator, device=device) - 1
        strength = sign * (magnitude / 10)
        for number, operation in enumerate(OPERATIONS.values()):
            members = torch.nonzero(chosen == number).flatten()
            if len(members):
                images[members] = operation(images[members], strength[members]).clamp(0, 255)
    return images


def random_resized_crop(images: Tensor, generator: torch.Generator, mirror: bool) -> Tensor:
    """A part of each image, of random place, size and shape, enlarged to the whole (arXiv:1409.4842, section 6).

    Args:
        images: Float (N, C, H, W).
        generator: On the images' device.
        mirror: Whether images may be flipped left to right.
    """
    area, shape, x, y, flip = torch.rand(5, len(images), generator=generator, device=images.device)
    area = CROP_AREA + (1 - CROP_AREA) * area
    aspect = CROP_ASPECT ** (2 * shape - 1)
    # A side that would be longer than the image is cut; the usual implementations draw again.
    width, height = (area * aspect).sqrt().clamp_max(1), (area / aspect).sqrt().clamp_max(1)
    theta = images.new_zeros(len(images), 2, 3)
    theta[:, 0, 0] = torch.where(flip < 0.5, -width, width) if mirror else width
    theta[:, 1, 1] = height
    theta[:, 0, 2], theta[:, 1, 2] = (1 - width) * (2 * x - 1), (1 - height) * (2 * y - 1)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def mixup(
    images: Tensor, labels: Tensor, classes: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Blend the batch with its reverse (arXiv:1710.09412, equations 1 and 2).

    Args:
        images: (N, C, H, W), in an order that is random.
        labels: Class numbers (N,).
        classes: Number of classes.
        alpha: The share of the first image is drawn from Beta(alpha, alpha), once a batch.
        generator: Source of the draw.

    Returns:
        Images, and shares of the classes (N, classes).
    """
    draw = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
    share = float(np.random.default_rng(draw).beta(alpha, alpha))
    targets = functional.one_hot(labels, classes).float()
    return share * images + (1 - share) * images.flip(0), share * targets + (1 - share) * targets.flip(0)


def _identity(images: Tensor, strength: Tensor) -> Tensor:
    return images


def _brightness(images: Tensor, strength: Tensor) -> Tensor:
    return images * _factor(strength)


def _contrast(images: Tensor, strength: Tensor) -> Tensor:
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * _factor(strength)


def _saturation(images: Tensor, strength: Tensor) -> Tensor:
    grey = images.mean(1, keepdim=True)
    return grey + (images - grey) * _factor(strength)


def _posterize(images: Tensor, strength: Tensor) -> Tensor:
    step = 2.0 ** (4 * strength.abs()).round()[:, None, None, None]  # keeps 8 to 4 bits
    return (images / step).floor() * step


def _solarize(images: Tensor, strength: Tensor) -> Tensor:
    threshold = 256 * (1 - strength.abs())[:, None, None, None]
    return torch.where(images >= threshold, 255 - images, images)


def _auto_contrast(images: Tensor, strength: Tensor) -> Tensor:
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return (images - low) * (255 / (high - low).clamp_min(1.0))


def _rotate(images: Tensor, strength: Tensor) -> Tensor:
    angle = strength * math.radians(30)
    return _warp(images, torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1), None)


def _shear_x(images: Tensor, strength: Tensor) -> Tensor:
    one, zero = torch.ones_like(strength), torch.zeros_like(strength)
    return _warp(images, torch.stack([one, 0.3 * strength, zero, one], 1), None)


def _shear_y(images: Tensor, strength: Tensor) -> Tensor:
    one, zero = torch.ones_like(strength), torch.zeros_like(strength)
    return _warp(images, torch.stack([one, zero, 0.3 * strength, one], 1), None)


def _translate_x(images: Tensor, strength: Tensor) -> Tensor:
    return _warp(images, None, torch.stack([0.6 * strength, torch.zeros_like(strength)], 1))


def _translate_y(images: Tensor, strength: Tensor) -> Tensor:
    return _warp(images, None, torch.stack([torch.zeros_like(strength), 0.6 * strength], 1))


def _factor(strength: Tensor) -> Tensor:
    """0.1 to 1.9."""
    return (1 + 0.9 * strength)[:, None, None, None]


def _warp(images: Tensor, matrix: Tensor | None, shift: Tensor | None) -> Tensor:
    """Affine maps (N, 4) and shifts (N, 2) in units of half a side; what comes from outside is grey."""
    count = len(images)
    theta = images.new_zeros(count, 2, 3)
    theta[:, :, :2] = torch.eye(2, device=images.device) if matrix is None else matrix.view(count, 2, 2)
    if shift is not None:
        theta[:, :, 2] = shift
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images - 128, grid, align_corners=False) + 128


OPERATIONS: dict[str, Operation] = {
    "identity": _identity,
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "posterize": _posterize,
    "solarize": _solarize,
    "auto-contrast": _auto_contrast,
    "rotate": _rotate,
    "shear-x": _shear_x,
    "shear-y": _shear_y,
    "translate-x": _translate_x,
    "translate-y": _translate_y,
}
"""RandAugment's list, without sharpness and equalize."""

"""What the pixels of an image file mean: which way up, how deep, and what shines through.

The result is what a viewer shows: an image is not 8-bit RGB because it can be converted to it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

_UNREADABLE = (OSError, SyntaxError, ValueError, KeyError, TypeError, EOFError)  # what damaged EXIF data raises


def as_rgb(image: Image.Image) -> Image.Image:
    """An opened image as 8-bit RGB: upright by its EXIF data, on white where it is transparent.

    Grey values of 16 bits are scaled from 0 to 65,535, floating-point ones from 0 to 1: ranges of the image's own would
    make dark and bright images alike.

    Raises:
        ValueError: Deeper pixels that lie outside these ranges.
        OSError: The image is broken; its decoder raises others as well.
    """
    image.load()
    image = _upright(image)
    if image.mode == "F":
        return _scaled(np.asarray(image), 1.0)
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _scaled(np.asarray(image), 65535)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _UNREADABLE:
        return image  # its pixels were decoded: only the data about them are damaged


def _scaled(pixels: np.ndarray, white: float) -> Image.Image:
    low, high = float(pixels.min()), float(pixels.max())
    if not 0 <= low <= high <= white:
        raise ValueError(f"its pixels are {low:g} to {high:g}; must be 0 to {white:g}")
    return Image.fromarray(np.rint(pixels.astype(np.float64) * (255 / white)).astype(np.uint8)).convert("RGB")

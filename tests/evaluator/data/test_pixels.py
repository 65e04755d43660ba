from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluator.data.folder import decode
from evaluator.data.pixels import as_rgb
from search_space.errors import InputError

RAMP = np.arange(64, dtype=np.float64).reshape(8, 8) / 63  # 0 to 1
WANTED = np.rint(RAMP * 255).astype(np.uint8)


def saved(folder: Path, image: Image.Image, suffix: str = "png", **options: object) -> Path:
    path = folder / f"image.{suffix}"
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("dtype", [np.uint16, ">u2"])
def test_grey_of_sixteen_bits_keeps_its_shades(suffix: str, dtype: str, tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(np.rint(RAMP * 65535).astype(dtype)), suffix)
    pixels = decode(path, 8)
    assert (pixels == WANTED).all()
    dark = saved(tmp_path, Image.fromarray(np.full((8, 8), 4112, np.uint16)))
    assert (decode(dark, 8) == 16).all()


def test_floating_point_is_read_from_zero_to_one(tmp_path: Path) -> None:
    assert (decode(saved(tmp_path, Image.fromarray(RAMP.astype(np.float32)), "tif"), 8) == WANTED).all()


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((4, 4), 300, np.float32), "its pixels are 300 to 300; must be 0 to 1"),
        (np.full((4, 4), np.nan, np.float32), "its pixels are nan to nan; must be 0 to 1"),
        (np.full((4, 4), 70_000, np.int32), "its pixels are 70000 to 70000; must be 0 to 65535"),
        (np.full((4, 4), -1, np.int32), "its pixels are -1 to -1; must be 0 to 65535"),
    ],
)
def test_depths_without_a_known_white_are_named(pixels: np.ndarray, words: str, tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(pixels), "tif")
    with pytest.raises(InputError, match=rf"image\.tif: broken image: {words}"):
        decode(path, 4)


def test_an_image_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a camera held upright: to be turned by a quarter clockwise
    lying = Image.new("RGB", (40, 40), "black")
    lying.paste("white", (0, 0, 20, 40))  # white on the left
    upright = decode(saved(tmp_path, lying, "jpg", exif=exif), 40)
    assert upright[:, 5, 20].min() > 240
    assert upright[:, 35, 20].max() < 15


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_data_about_an_image_do_not_make_it_broken(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGB", (8, 8), "red"), "jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fnonsense")
    assert decode(path, 8)[0].min() > 240


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_shows_white_and_not_its_hidden_colour(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    if mode == "P":
        palette = Image.new("P", (8, 8), 1)
        palette.putpalette([0, 0, 0, 200, 0, 0])
        palette.paste(0, (0, 0, 4, 8))
        path = saved(tmp_path, palette, transparency=1)
    else:
        path = saved(tmp_path, image.convert(mode))
    pixels = decode(path, 8)
    assert (pixels[:, :, :4] == 0).all()
    assert (pixels[:, :, 4:] == 255).all()


def test_plain_images_are_what_they_were() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    assert (np.asarray(as_rgb(image)) == np.asarray(image)).all()

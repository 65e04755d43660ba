"""Settings of the proxy: what is trained on what, how, and where; and what each purpose takes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from evaluator.base import CACHE_DIR
from evaluator.recipe import Recipe
from search_space.errors import check_fields


@dataclass(frozen=True, kw_only=True)
class ProxyConfig(Recipe):
    """What is trained on what, how, and where. The defaults suit digits on two CPU cores.

    Raises:
        InputError: Fields out of range, by name, with their values and what is allowed.
    """

    data: str = "digits"
    """Data set: ``digits``, ``fashion-mnist:DIR``, ``mnist:DIR``, ``cifar10:DIR``, ``folder:DIR``, or a user's own
    ``package.module:function``."""
    resolution: int | None = None
    """Side of the images, pixels; None for the data set's own (digits 16, folders 64, others as they are)."""
    base_resolution: int | None = None
    """Deployment resolution that `resolution` stands for: a candidate that is deployed on larger images is trained on
    images larger by as much. None trains all candidates at `resolution`."""
    mirror: bool | None = None
    """Whether images may be flipped left to right; None for the data set's own: digits may not, folders may."""
    width: float = 0.5
    """Factor on all channels of the candidate while it is trained."""
    unstrided: int = 1
    """How many of the first strided stages run at stride 1: small images would vanish in five strides."""
    validation_share: float = 0.25
    """Share of each class's training images that is held out to score on."""
    max_images: int | None = None
    """Use at most about this many training images, held-out ones included; None for all."""
    split_seed: int = 0
    """Which images are held out; the same for all candidates, whatever their seeds."""
    timeout: float = 600.0
    """Seconds after which a trial is given up."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; ``auto`` takes a GPU if there is one."""
    captured: bool = True
    """On a GPU: record a network's training step once, as a CUDA graph; false launches each operation anew. To
    rounding, the result is the same."""
    threads: int = 1
    """CPU threads of a trial. Part of the result: sums are taken in another order with another number."""
    inherit: str | None = None
    """File of the weights that every network begins with, as far as it can take them; null for random ones."""
    parent: str | None = None
    """Network that they are of, a YAML file or an installed one's name."""
    keep: str | None = None
    """Folder in which each training's state is left, so that a longer one of the same network and seed continues it;
    null keeps nothing, and then a longer training is one longer cycle of the learning rate."""
    cache_dir: str = str(CACHE_DIR)
    """Where decoded image folders are kept."""

    def __post_init__(self) -> None:
        super().__post_init__()
        base = self.base_resolution
        check_fields(
            (self.resolution is None or 8 <= self.resolution <= 1024, "resolution", self.resolution, "8 to 1024"),
            (base is None or base >= 1, "base_resolution", base, "at least 1"),
            (0 < self.width <= 4, "width", self.width, "above 0 and at most 4"),
            (self.unstrided >= 0, "unstrided", self.unstrided, "at least 0"),
            (0 < self.validation_share < 1, "validation_share", self.validation_share, "between 0 and 1"),
            (self.max_images is None or self.max_images >= 20, "max_images", self.max_images, "at least 20"),
            (self.timeout > 0, "timeout", self.timeout, "above 0 seconds"),
            (self.device in ("auto", "cpu", "cuda"), "device", self.device, "auto, cpu or cuda"),
            (1 <= self.threads <= 1024, "threads", self.threads, "1 to 1024"),
            ((self.inherit is None) == (self.parent is None), "parent", self.parent, "given where inherit is"),
        )


DEMO = ProxyConfig()
IMAGENET = ProxyConfig(
    data="folder:imagenet/train",
    resolution=224,
    width=1.0,
    unstrided=0,
    epochs=5,
    batch_size=256,
    learning_rate=5e-3,
    validation_share=0.039,
    timeout=24 * 3600.0,
)
PRESETS: dict[str, ProxyConfig] = {
    "default": DEMO,
    "demo": DEMO,
    "small": ProxyConfig(resolution=64, width=1.0, epochs=20, batch_size=128, validation_share=0.2, timeout=3600.0),
    "imagenet100": dataclasses.replace(
        IMAGENET, data="folder:imagenet100/train", resolution=128, epochs=30, validation_share=0.1, timeout=6 * 3600.0
    ),
    "imagenet": IMAGENET,
}
"""What a search is for decides how its candidates are trained; any setting may be changed on top.

| preset | for | what its ranking is worth |
|---|---|---|
| ``demo`` | the default: the whole loop in minutes on a CPU | next to nothing: less than counting parameters |
| ``small`` | one GPU and images of your own, 64 pixels, full width, 20 epochs | measure it: ``nas-trust RUN`` |
| ``imagenet100`` | 100 classes at 128 pixels, 30 epochs; a cheaper stand-in for ImageNet | measure it |
| ``imagenet`` | MnasNet section 5: 5 epochs, 50,000 of the 1,281,167 training images held out | the papers' own proxy |

All read out the accuracy, which the reward is about. The last two keep the candidate's own strides; ``folder:DIR``
is a folder of class folders, named with ``--data`` if it is not where the preset expects it.
"""

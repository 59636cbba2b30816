"""One image file to RGB bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resnet_search.training.datasets.image_data import Images

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

# Not all that Pillow knows: some of its formats start other programs, or are no pictures.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_GROUND = "white"  # beneath what is transparent, as on paper


class Unreadable(Exception):  # noqa: N818 - an outcome, counted and named, not an error of the program
    """Why a file gives no image, in a few words."""


def decode(file: Path) -> Images:
    """The image in `file`, (H, W, 3) uint8, upright as its EXIF orientation says; the first frame of several.

    Grey and CMYK images are converted, palettes resolved, transparent parts laid on white, 16 bits a channel reduced
    to the upper 8. Raises Unreadable, also for an image of more pixels than Pillow holds to be safe.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file, formats=FORMATS) as image:
            _refuse_bomb(image.width, image.height, Image.MAX_IMAGE_PIXELS)
            return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
    except Unreadable:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        detail = str(error)
        for name in (str(file), os.path.realpath(file)):  # Which one depends on the version.
            detail = detail.replace(repr(name), "")
        detail = detail.strip() or type(error).__name__
        raise Unreadable(detail[:100]) from error


def _refuse_bomb(width: int, height: int, most: int | None) -> None:
    if most and width * height > most:
        raise Unreadable(f"{width} x {height} pixels, more than {most:,}")


def _to_rgb(image: PILImage) -> PILImage:
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "I":
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 0xFFFF:  # noqa: PLR2004 - 16 bits
            raise Unreadable("32 bits a pixel")
        return Image.fromarray((levels >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise Unreadable("floating-point pixels")
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, _GROUND)
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")

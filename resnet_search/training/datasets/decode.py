"""One image file to RGB bytes."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resnet_search.training.datasets.image_data import Images
from resnet_search.training.datasets.values import BRIGHTEST, OPTION, Extent, Values

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

# Not all that Pillow knows: some of its formats start other programs, or are no pictures.
FORMATS = ("BMP", "DIB", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_GROUND = "white"  # beneath what is transparent, as on paper
_FULL = 0xFFFF  # of 16 bits
# Byte orders of colour with 16 bits a channel, where Pillow reads the upper 8 bits, and the orders that give the lower.
_EXCHANGED = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
_GREY = 2  # axes
_BITS, _PHOTOMETRIC, _PLANES = 258, 262, 284  # tags of a TIFF


class Unreadable(Exception):  # noqa: N818 - an outcome, counted and named, not an error of the program
    """Why a file gives no image, in a few words."""


class Outside(Unreadable):
    """An image with values outside the range that was stated or found."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """What a file holds: levels (H, W, 3), or (H, W) if grey; bytes, or numbers of more bits.

    `alpha`: the opacity (H, W) in bytes of levels of more than 8 bits; None if opaque. Bytes lie on white already.
    `white`: the level that the file itself says is white; None for the largest of its type.
    """

    levels: NDArray[Any]
    alpha: Images | None = None
    white: int | None = None

    @property
    def deep(self) -> bool:
        """Whether the levels have more than 8 bits, so that a range says what they mean."""
        return self.levels.dtype != np.uint8 and self.white is None

    def extent(self) -> Extent:
        return Extent.of(self.levels)

    def to_bytes(self, values: Values | None) -> Images:
        """RGB bytes (H, W, 3). `values`: None for bytes as they are, and for 16 bits if the upper half is used.

        Raises Unreadable if the meaning of the levels is not certain, or Outside for levels that are not in `values`.
        """
        if values is None or values.of != "files":
            if self.white is not None:
                values = Values(0, self.white, "deep")
            elif not self.deep:
                return self.levels
        extent = self.extent()
        values = values or _own(extent)
        if values.outside(extent.low, extent.high):
            raise Outside(
                f"values from {extent.low:g} to {extent.high:g}, outside the range {values.low:g} to {values.high:g}"
            )
        levels = values.to_bytes(self.levels)
        if levels.ndim == _GREY:
            levels = np.repeat(levels[..., None], 3, 2)
        return levels if self.alpha is None else on_ground(levels, self.alpha)


def decode(file: Path, values: Values | None = None) -> Images:
    """The image in `file`, (H, W, 3) uint8, upright as its EXIF orientation says; the first frame of several.

    Grey and CMYK images are converted, palettes resolved, transparent parts laid on white. `values` says what numbers
    of more than 8 bits mean; None: 16 bits, if the image uses the upper half of their range. Raises Unreadable, also
    for an image of more pixels than Pillow holds to be safe.
    """
    return pixels_of(file).to_bytes(values)


def pixels_of(file: Path) -> Pixels:
    """What `file` holds, before numbers of more than 8 bits become bytes. Raises Unreadable."""
    from PIL import Image

    try:
        with Image.open(file, formats=FORMATS) as image:
            _refuse_bomb(image.width, image.height, Image.MAX_IMAGE_PIXELS)
            return _pixels(image, file)
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


def _own(extent: Extent) -> Values:
    """The range of a single image without a set: 16 bits, if it is certain that all are used."""
    if not extent.whole:
        raise Unreadable(f"floating-point pixels; {OPTION} LOW,HIGH says what they mean")
    if round(extent.low) < 0 or round(extent.high) > _FULL:
        raise Unreadable(f"32 bits a pixel; {OPTION} LOW,HIGH says what they mean")
    if extent.high <= _FULL // 2:
        raise Unreadable(f"16 bits a pixel, but none above {extent.high:g}; {OPTION} LOW,HIGH says what they mean")
    return Values(0, _FULL, "deep")


def _pixels(image: PILImage, file: Path) -> Pixels:
    from PIL import ImageOps

    if image.format == "PPM" and (white := _maximum(image)) is not None:
        return _portable(image, file, white)
    coding = _coding(image)  # Before the image is loaded, which forgets it.
    _check_layout(image, coding)
    clear = image.info.get("transparency")
    upright = ImageOps.exif_transpose(image)
    if coding:
        return _transparent(_deep_colour(np.asarray(upright), file, coding), clear)
    if upright.mode[0] not in "IF":
        return Pixels(np.asarray(_to_rgb(upright)))
    levels = np.asarray(upright)
    if not upright.mode.startswith("I;16"):
        return Pixels(levels)
    return _transparent(Pixels(levels.astype(np.uint16)), clear)


def _maximum(image: Any) -> int | None:
    """The level that the header of a PPM or PGM says is white; None if Pillow need not scale the levels to it."""
    decoder, *_, arguments = image.tile[0]
    return arguments[-1] if decoder in {"ppm", "ppm_plain"} and isinstance(arguments, tuple) else None


def _portable(image: Any, file: Path, white: int) -> Pixels:
    """The levels of a PPM or PGM as they are stored: Pillow scales them, those in colour to 8 bits."""
    decoder, _, start, _ = image.tile[0]
    channels = len(image.getbands())
    if channels not in (1, 3):
        raise Unreadable(f"a PPM of {channels} channels; save it as a PNG")
    count, kind = image.width * image.height * channels, np.uint8 if white <= BRIGHTEST else np.uint16
    content = file.read_bytes()[start:]
    if decoder == "ppm_plain":
        levels = np.array([int(word) for word in re.sub(rb"#[^\r\n]*", b"", content).split()[:count]])
    else:
        levels = np.frombuffer(content, np.dtype(kind).newbyteorder(">"), count)
    if levels.size < count or levels.min() < 0 or levels.max() > white:
        raise Unreadable(f"{levels.size:,} of {count:,} levels, or a level outside 0 to its maximum, {white}")
    shape = (image.height, image.width, channels)[: _GREY if channels == 1 else None]
    # The largest number of 16 bits says nothing of the levels: 12 bits are stored with it as well.
    return Pixels(levels.astype(kind).reshape(shape), white=None if white == _FULL else white)


def _check_layout(image: PILImage, coding: str) -> None:
    """Raise Unreadable for a TIFF of more than 8 bits a channel if Pillow would change its levels."""
    tags = getattr(image, "tag_v2", {})
    bits = max(tags.get(_BITS, (1,)))
    if bits <= np.iinfo(np.uint8).bits:
        return
    separate = tags.get(_PLANES) == 2 and len(tags[_BITS]) > 1  # noqa: PLR2004 - plane by plane
    inverted = tags.get(_PHOTOMETRIC) == 0
    if separate or inverted or not (coding or image.mode[0] in "IF"):
        what = "planes one by one" if separate else "white as 0" if inverted else f"{image.mode} in this layout"
        raise Unreadable(f"a TIFF of {bits} bits with {what}; save it as a PNG")


def _transparent(pixels: Pixels, clear: Any) -> Pixels:
    """The same; clear where all channels have the levels that a PNG declares to be transparent, if it does."""
    if clear is None or pixels.alpha is not None:
        return pixels
    same = pixels.levels == np.array(clear)
    opaque = ~(same if same.ndim == _GREY else same.all(-1))
    return replace(pixels, alpha=opaque.astype(np.uint8) * BRIGHTEST)


def _coding(image: PILImage) -> str:
    """Return how colours of 16 bits are stored, since Pillow only reads the upper 8 bits; empty for other images."""
    tiles = getattr(image, "tile", None) or [()]
    raw = _raw_mode(tiles[0][-1]) if tiles[0] else ""
    channels, _, order = raw.partition(";")
    return raw if channels in {"RGB", "RGBA", "RGBX", "LA"} and order in _EXCHANGED else ""


def _raw_mode(arguments: Any) -> str:
    """The raw mode in the arguments of one of Pillow's decoders."""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _deep_colour(upper: Images, file: Path, coding: str) -> Pixels:
    """The levels of 16 bits, from the upper 8 and from a second reading with other bytes."""
    channels, _, order = coding.partition(";")
    if channels == "LA":
        # Four bytes a pixel, read as if they were four channels: both of grey, both of the opacity.
        four = _read_as(file, "RGBA").astype(np.uint16)
        return Pixels((four[..., 0] << 8) | four[..., 1], four[..., 2].astype(np.uint8))
    lower = _read_as(file, f"{channels};{_EXCHANGED[order]}")
    levels = (upper[..., :3].astype(np.uint16) << 8) | lower[..., :3]
    return Pixels(levels, upper[..., 3] if channels == "RGBA" else None)


def _read_as(file: Path, coding: str) -> Images:
    """The image in `file`, upright, read in another of Pillow's raw modes."""
    from PIL import Image, ImageOps

    with Image.open(file, formats=FORMATS) as image:
        # Since Pillow 11, a tile is a named tuple.
        tiles: Any = [
            getattr(tile, "_make", tuple)((*tile[:-1], _with_raw_mode(tile[-1], coding))) for tile in image.tile
        ]
        image.tile = tiles
        return np.asarray(ImageOps.exif_transpose(image))


def _with_raw_mode(arguments: Any, coding: str) -> Any:
    return (coding, *arguments[1:]) if isinstance(arguments, tuple) else coding


def on_ground(rgb: Images, alpha: Images) -> Images:
    """RGB bytes (H, W, 3) of an opacity (H, W) in bytes, laid on white."""
    from PIL import Image

    return np.asarray(_to_rgb(Image.fromarray(np.dstack([rgb, alpha]))))


def _to_rgb(image: PILImage) -> PILImage:
    from PIL import Image

    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, _GROUND)
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")

"""What every source gives: images and labels of a train and a test split, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from resnet_search.errors import DataError
from resnet_search.training.datasets.values import Values

if TYPE_CHECKING:  # A plan looks at names alone, and does not wait for NumPy.
    import numpy as np
    from numpy.typing import NDArray

Images: TypeAlias = "NDArray[np.uint8]"
Labels: TypeAlias = "NDArray[np.int64]"

NAMED = 5  # files or classes named in a note; the rest is counted
SMALLEST_IMAGE, LARGEST_IMAGE = 4, 1024  # pixels a side: below, three stages have nothing left; above, no memory


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set in memory: RGB uint8 images (N, H, W, 3) of 0..255, and int64 labels (N,) of 0..len(classes)-1.

    `source` is what the user asked for, `location` the file, folder or generator it was read from. `notes` are
    sentences for the user: what was converted, left out, or looks wrong. `train_files` and `test_files`: the names of
    the images, () where they are not files. `values`: how numbers became bytes, None if they were bytes. `left_out`:
    the number of files that were not taken, by split and reason.
    """

    x_train: Images = field(repr=False)
    y_train: Labels = field(repr=False)
    x_test: Images = field(repr=False)
    y_test: Labels = field(repr=False)
    classes: tuple[str, ...]
    source: str
    notes: tuple[str, ...] = ()
    location: str = ""
    train_files: tuple[str, ...] = field(default=(), repr=False)
    test_files: tuple[str, ...] = field(default=(), repr=False)
    values: Values | None = None
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def fingerprint(data: ImageData) -> str:
    """SHA-256, in hexadecimal, of the arrays with their shapes and types, and of the class names.

    The same images in another order, or under other names, are another data set; where they were read from is not
    part of it.
    """
    import numpy as np

    digest = hashlib.sha256()
    for name in data.classes:
        encoded = name.encode("utf-8", "surrogatepass")
        digest.update(f"{len(encoded)}:".encode() + encoded)
    for array in (data.x_train, data.y_train, data.x_test, data.y_test):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def resized(images: Images, size: int | None) -> Images:
    """Return images (N, H, W, 3), `stretched` to `size` pixels a side; None leaves them unchanged."""
    return images if size is None else stretched(images, size, size)


def stretched(images: Images, height: int, width: int) -> Images:
    """Images (N, H, W, 3) stretched to `height` by `width` pixels, with an antialiased bilinear filter."""
    if images.shape[1:3] == (height, width):
        return images
    import numpy as np
    from PIL import Image

    result = np.empty((len(images), height, width, 3), np.uint8)
    for target, image in zip(result, images, strict=True):
        target[:] = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    return result


def check_image_size(image_size: int | None) -> None:
    """Raise DataError unless images can be brought to `image_size` pixels a side."""
    if image_size is None:
        return
    if (
        not isinstance(image_size, int)
        or isinstance(image_size, bool)
        or not SMALLEST_IMAGE <= image_size <= LARGEST_IMAGE
    ):
        raise DataError(
            f"image_size: {image_size!r} is not a whole number of pixels from {SMALLEST_IMAGE} to {LARGEST_IMAGE}",
            "Give the side of the square images that the networks read, such as 32.",
        )


def printable(name: object) -> str:
    """A file or class name as text that can be shown and written as UTF-8.

    Control characters and bytes that are no text stand as escapes.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(name))


def some(names: Iterable[str]) -> str:
    """The first of some names, as they can be shown, and how many more there are."""
    listed = [printable(name) for name in names]
    return ", ".join(listed[:NAMED]) + (f" and {len(listed) - NAMED} more" if len(listed) > NAMED else "")

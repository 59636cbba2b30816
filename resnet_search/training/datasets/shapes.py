"""The embedded data set `shapes`: ten figures on cluttered ground, drawn by seeded code, 32 x 32 RGB.

A figure has a random place, size, turn, colour and texture, stands on a striped ground among scraps of other colours,
is partly covered, and the whole is noisy. It is learnable within a few epochs of 3,000 images and hard enough to tell
architectures apart (benchmarks/shapes_spread.py measures by how much).

Only additions, multiplications, divisions, square roots and comparisons, whose results IEEE 754 fixes, and the raw
bits of PCG64, which NumPy does: the images are the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from resnet_search.training.datasets.image_data import ImageData, Images, Labels

SIDE = 32
TRAIN, TEST = 4_000, 1_000
_SEEDS = {"train": 20_150_512, "test": 20_151_210}  # two streams; the data set has no other seed
_BATCH = 250  # images drawn at once: what stays in the processor's cache is drawn fastest
# How hard it is, found by trial: with half of these nearly every network is right on nine images of ten after five
# epochs, with twice as many none learns.
_SIZE = (7.5, 11.0)  # radius of the figure, pixels
_SPREAD = 5.0  # of its middle around the image's, pixels, each way
_TURN = 0.3  # tangent of half its largest turn: 33 degrees
_STRETCH = (0.8, 1.25)  # of its width; its height shrinks as much
_CONTRAST = (55.0, 115.0)  # between it and the ground, grey levels, each channel up or down
_TEXTURE, _GROUND = 25.0, 30.0  # stripes on the figure and on the ground, grey levels
_SCRAPS, _COVERS = 2, 1  # boxes behind the figure and in front of it
_NOISE = (3.0, 10.0)  # on every pixel, grey levels; the sum of two uniform draws of this width

Floats: TypeAlias = NDArray[np.float32]
Figure: TypeAlias = Callable[[Floats, Floats], Floats]


def load_shapes() -> ImageData:
    """The data set: 4,000 images to train on, 1,000 to test on, each class a tenth of either."""
    x_train, y_train = draw(TRAIN, _SEEDS["train"])
    x_test, y_test = draw(TEST, _SEEDS["test"])
    return ImageData(x_train, y_train, x_test, y_test, tuple(FIGURES), "shapes", (), "drawn by resnet-search")


def draw(count: int, seed: int) -> tuple[Images, Labels]:
    """`count` images (count, 32, 32, 3) uint8, their labels (count,) running 0, 1, ... 9, 0, 1, ..."""
    bits = np.random.PCG64(seed)
    labels = np.arange(count, dtype=np.int64) % len(FIGURES)
    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for start in range(0, count, _BATCH):
        part = slice(start, start + _BATCH)
        images[part] = _draw_batch(labels[part], bits)
    return images, labels


def _draw_batch(labels: Labels, bits: np.random.PCG64) -> Images:
    n = len(labels)
    rows, columns = np.meshgrid(np.arange(SIDE, dtype=np.float32), np.arange(SIDE, dtype=np.float32), indexing="ij")

    def uniform(low: float, high: float, *shape: int) -> Floats:
        draws = bits.random_raw(n * int(np.prod(shape))) >> np.uint64(40)  # 24 bits: exact in a float32
        unit = draws.astype(np.float32) * np.float32(2**-24)
        return np.float32(low) + unit.reshape(n, *shape) * np.float32(high - low)

    def placed(size: Floats, spread: float, turn: float) -> tuple[Floats, Floats]:
        """Coordinates (n, 32, 32) of a figure of radius `size` pixels: 1 is its radius."""
        middle = np.float32((SIDE - 1) / 2)
        down = rows - (middle + uniform(-spread, spread, 1, 1))
        right = columns - (middle + uniform(-spread, spread, 1, 1))
        t = uniform(-turn, turn, 1, 1)  # the tangent of half the angle: a turn without sine and cosine
        cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
        stretch = uniform(*_STRETCH, 1, 1)
        return (cosine * right + sine * down) / (size * stretch), (cosine * down - sine * right) * stretch / size

    def stripes(strength: float) -> Floats:
        wave = uniform(-0.35, 0.35, 1, 1) * rows + uniform(-0.35, 0.35, 1, 1) * columns + uniform(0, 2, 1, 1)
        wave -= 2 * np.floor(wave / 2)
        return (np.abs(wave - 1) - np.float32(0.5))[..., None] * uniform(-strength, strength, 1, 1, 3)

    ground_colour = uniform(60, 196, 1, 1, 3)
    image = ground_colour + stripes(_GROUND)
    for _ in range(_SCRAPS):
        _paint(image, _box(*placed(uniform(2, 4, 1, 1), 16, 1.0), 1.0, 0.6), uniform(30, 226, 1, 1, 3), 3)

    size = uniform(*_SIZE, 1, 1)
    right, down = placed(size, _SPREAD, _TURN)
    distance = np.empty((n, SIDE, SIDE), np.float32)
    for label, figure in enumerate(FIGURES.values()):
        own = labels == label
        distance[own] = figure(right[own], down[own])
    contrast = np.copysign(uniform(*_CONTRAST, 1, 1, 3), uniform(-1, 1, 1, 1, 3))
    _paint(image, distance, ground_colour + contrast + stripes(_TEXTURE), size)

    for _ in range(_COVERS):
        _paint(image, _box(*placed(uniform(2, 4, 1, 1), 13, 1.0), 1.0, 0.5), uniform(30, 226, 1, 1, 3), 3)
    noise = uniform(-1, 1, SIDE, SIDE, 3) + uniform(-1, 1, SIDE, SIDE, 3)
    image += noise * uniform(*_NOISE, 1, 1, 1)
    pixels: Images = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return pixels


def _paint(image: Floats, distance: Floats, colour: Floats, size: Floats | float) -> None:
    """Lay `colour` over `image` where `distance`, in radii of `size` pixels, is below 0; the edge is a pixel wide."""
    cover = np.clip(np.float32(0.5) - distance * size, 0, 1)[..., None]
    image += cover * (colour - image)


def _both(a: Floats, b: Floats) -> Floats:
    """What lies inside `a` and inside `b`."""
    distance: Floats = np.maximum(a, b)
    return distance


def _either(a: Floats, b: Floats) -> Floats:
    """What lies inside `a` or inside `b`."""
    distance: Floats = np.minimum(a, b)
    return distance


def _outline(a: Floats, half_width: float) -> Floats:
    return np.abs(a) - np.float32(half_width)


def _box(x: Floats, y: Floats, width: float, height: float) -> Floats:
    return _both(_outline(x, width), _outline(y, height))


def _disc(x: Floats, y: Floats, radius: float = 0.85) -> Floats:
    distance: Floats = np.sqrt(x * x + y * y)
    return distance - np.float32(radius)


def _ring(x: Floats, y: Floats) -> Floats:
    return _outline(_disc(x, y, 0.7), 0.22)


def _square(x: Floats, y: Floats) -> Floats:
    return _box(x, y, 0.75, 0.75)


def _frame(x: Floats, y: Floats) -> Floats:
    return _outline(_square(x, y) + np.float32(0.1), 0.2)


def _triangle(x: Floats, y: Floats) -> Floats:
    sides = np.abs(x) * np.float32(0.866025) - y * np.float32(0.5)
    return _both(sides, y) - np.float32(0.5)


def _cross(x: Floats, y: Floats) -> Floats:
    return _either(_box(x, y, 0.95, 0.28), _box(x, y, 0.28, 0.95))


def _star(x: Floats, y: Floats) -> Floats:
    """Five points: the plane is folded onto one of the ten half points, which has one edge."""
    cosine, sine = np.float32(0.809017), np.float32(0.587785)  # of 36 degrees
    x, y = np.abs(x), -y
    for normal in (cosine, -cosine):
        over: Floats = 2 * np.maximum(normal * x - sine * y, np.float32(0))
        x, y = x - over * normal, y + over * sine
    x, y = np.abs(x), y - np.float32(1)
    return y * np.float32(0.384) + x * np.float32(0.923)


def _crescent(x: Floats, y: Floats) -> Floats:
    return _both(_disc(x, y, 0.95), -_disc(x - np.float32(0.5), y, 0.75))


def _arch(x: Floats, y: Floats) -> Floats:
    return _both(_box(x, y, 0.8, 0.8), -_box(x, y - np.float32(0.5), 0.38, 0.9))


def _tee(x: Floats, y: Floats) -> Floats:
    bar, stem = _box(x, y + np.float32(0.6), 0.85, 0.27), _box(x, y - np.float32(0.1), 0.27, 0.85)
    return _either(bar, stem)


FIGURES: dict[str, Figure] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "frame": _frame,
    "triangle": _triangle,
    "cross": _cross,
    "star": _star,
    "crescent": _crescent,
    "arch": _arch,
    "tee": _tee,
}

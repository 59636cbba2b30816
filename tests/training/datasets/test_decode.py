from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnet_search.training.datasets.decode import Unreadable, decode
from resnet_search.training.datasets.values import Values
from tests.faults.table import fault

pytestmark = pytest.mark.interface

RED = np.zeros((5, 4, 3), np.uint8)
RED[..., 0] = 200
GREY = np.arange(20, dtype=np.uint8).reshape(5, 4) * 10


def _saved(image: Image.Image, path: Path, **options: object) -> np.ndarray:
    image.save(path, **options)
    return decode(path)


@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "tiff"])
def test_colour_comes_back_exactly(tmp_path: Path, suffix: str) -> None:
    assert np.array_equal(_saved(Image.fromarray(RED), tmp_path / f"a.{suffix}"), RED)


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy_colour_comes_back_nearly(tmp_path: Path, suffix: str) -> None:
    assert np.abs(_saved(Image.fromarray(RED), tmp_path / f"a.{suffix}").astype(int) - RED).max() < 6


def test_grey_and_bilevel(tmp_path: Path) -> None:
    assert np.array_equal(_saved(Image.fromarray(GREY), tmp_path / "a.png"), np.repeat(GREY[..., None], 3, 2))
    assert set(np.unique(_saved(Image.fromarray(GREY).convert("1"), tmp_path / "b.png"))) <= {0, 255}


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    palette = Image.fromarray(RED).convert("P", palette=Image.Palette.ADAPTIVE)
    assert np.array_equal(_saved(palette, tmp_path / "a.png"), RED)
    clear = Image.new("P", (2, 2), 0)
    clear.putpalette([10, 20, 30] * 256)
    assert (_saved(clear, tmp_path / "b.gif", transparency=0) == 255).all()


def test_what_is_transparent_lies_on_white(tmp_path: Path) -> None:
    image = np.zeros((1, 3, 4), np.uint8)
    image[0, :, 3] = (0, 128, 255)
    out = _saved(Image.fromarray(image), tmp_path / "a.png")
    assert out[0, :, 0].tolist() == [255, 127, 0]
    grey = _saved(Image.fromarray(image).convert("LA"), tmp_path / "b.png")
    assert grey[0, :, 0].tolist() == [255, 127, 0]
    colours = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert _saved(colours, tmp_path / "c.png", transparency=(1, 2, 3))[0].tolist() == [[255] * 3, [4, 5, 6]]


def test_16_bits_keep_their_upper_8(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 256 + 17
    for name in ("a.png", "b.tiff"):
        assert np.array_equal(_saved(Image.fromarray(deep), tmp_path / name)[..., 1], GREY)
    for order in ("<i4", "<u2", ">u2"):
        out = _saved(Image.fromarray(deep.astype(order)), tmp_path / "c.tiff")
        assert np.array_equal(out, np.repeat(GREY[..., None], 3, 2))


def test_32_bits_are_read_where_16_hold_the_levels(tmp_path: Path) -> None:
    levels = np.array([[0, 255, 256, 0xFFFF]], "i4")
    assert _saved(Image.fromarray(levels), tmp_path / "a.tiff")[0, :, 0].tolist() == [0, 0, 1, 255]
    for wrong in (-1, 0x10000):
        with pytest.raises(Unreadable, match="32 bits"):
            _saved(Image.fromarray(np.array([[0, wrong]], "i4")), tmp_path / "a.tiff")


def test_cmyk(tmp_path: Path) -> None:
    out = _saved(Image.new("CMYK", (4, 5), (0, 255, 255, 0)), tmp_path / "a.jpg", quality=100)
    assert out.shape == (5, 4, 3)
    assert out[..., 0].min() > 200
    assert out[..., 1:].max() < 60


def test_exif_orientation_is_followed(tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat(GREY[..., None], 3, 2))
    exif = image.getexif()
    exif[0x0112] = 6  # a quarter turn
    out = _saved(image, tmp_path / "a.png", exif=exif)
    assert np.array_equal(out[..., 0], np.rot90(GREY, -1))


def test_the_first_of_several_frames_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (3, 3), colour) for colour in ("red", "blue")]
    out = _saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert out[0, 0].tolist() == [255, 0, 0]


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("most", [9_999, 1_000])
def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Pillow warns of the first and raises at the second, which has more than twice the pixels."""
    Image.new("L", (125, 80)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    with pytest.raises(Unreadable, match="pixels"):
        decode(tmp_path / "a.png")


def test_a_bomb_is_named_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (125, 80)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_999)
    with pytest.warns(Image.DecompressionBombWarning), pytest.raises(Unreadable) as caught:
        decode(tmp_path / "a.png")
    assert "125 x 80" in str(caught.value)
    assert "9,999" in str(caught.value)


@pytest.mark.parametrize("most", [10_000, None])
def test_an_image_of_as_many_pixels_as_are_safe_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int | None
) -> None:
    """None: whoever uses the package may lift Pillow's limit."""
    Image.new("L", (125, 80)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    assert decode(tmp_path / "a.png").shape == (80, 125, 3)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(Unreadable) as caught:
        decode(tmp_path / "a.png")
    assert str(tmp_path) not in str(caught.value)
    assert str(caught.value) == str(caught.value).strip() != ""


@pytest.mark.parametrize("suffix", ["tga", "pcx", "ico", "eps", "pdf", "sgi"])
def test_other_formats_of_pillow_are_refused(tmp_path: Path, suffix: str) -> None:
    """Whatever their name."""
    Image.fromarray(RED).save(tmp_path / f"a.{suffix}")
    (tmp_path / f"a.{suffix}").rename(tmp_path / "a.png")
    with pytest.raises(Unreadable):
        decode(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("broken data stream when reading image file '{file}'"), "broken data stream when reading image file"),
        (OSError("cannot identify '{real}' as an image"), "cannot identify  as an image"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (ValueError("  "), "ValueError"),
    ],
    ids=["named", "resolved", "no words", "blank"],
)
def test_the_reason_is_pillows_without_the_files_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    file = tmp_path / "link" / "a.png"
    words = [str(word).format(file=file, real=tmp_path.resolve() / "folder" / "a.png") for word in error.args]

    def damaged(*_: object, **__: object) -> None:
        raise type(error)(*words)

    monkeypatch.setattr(Image, "open", damaged)
    with pytest.raises(Unreadable) as caught:
        decode(file)
    assert str(caught.value) == reason
    assert type(caught.value.__cause__) is type(error)


def test_a_long_reason_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object, **__: object) -> None:
        raise ValueError("x" * 10_000)

    monkeypatch.setattr(Image, "open", damaged)
    with pytest.raises(Unreadable) as caught:
        decode(tmp_path / "a.png")
    assert set(str(caught.value)) == {"x"}
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp"])
def test_a_truncated_image_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Unreadable):
        decode(path)


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    """Nobody knows their range."""
    with pytest.raises(Unreadable, match="floating-point"):
        _saved(Image.fromarray(np.full((4, 4), 0.5, "f4")), tmp_path / "a.tiff")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(path: Path, levels: np.ndarray, clear: list[int]) -> Path:
    """Write a PNG of 16 bits: grey (H, W), colour (H, W, 3), with opacity (H, W, 4); levels `clear` are transparent."""
    kind = {1: 0, 3: 2, 4: 6}[1 if levels.ndim == 2 else levels.shape[2]]
    head = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels.reshape(len(levels), -1))
    chunks = {b"IHDR": head, b"tRNS": np.array(clear, ">u2").tobytes(), b"IDAT": zlib.compress(rows), b"IEND": b""}
    if not clear:
        del chunks[b"tRNS"]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*one) for one in chunks.items()))
    return path


def _tiff(path: Path, levels: np.ndarray, **tags: int) -> Path:
    """Write a TIFF of 16 bits a channel, (H, W, channels), with some of its tags; compression 8 is zlib's."""
    height, width, channels = levels.shape
    written = {256: width, 257: height, 259: 1, 262: 1 if channels == 1 else 2, 277: channels, 278: height, 284: 1}
    by_name = {"photometric": 262, "planes": 284, "extra": 338, "compression": 259}
    written |= {by_name[name]: value for name, value in tags.items()}
    separate = written[284] == 2
    planes = [levels[..., n] for n in range(channels)] if separate else [levels]
    parts = [plane.astype("<u2").tobytes() for plane in planes]
    if written[259] == 8:
        parts = [zlib.compress(part) for part in parts]
    entries = {tag: [value] for tag, value in written.items()} | {258: [16] * channels}
    entries[279] = [len(part) for part in parts]
    entries[273] = [0] * len(parts)
    start = 8 + 2 + 12 * len(entries) + 4
    entries[273] = [start + 100 + sum(entries[279][:n]) for n in range(len(parts))]
    fields, values = b"", b""
    for tag, numbers in sorted(entries.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            packed, values = struct.pack("<I", start + len(values)), values + packed
        fields += struct.pack("<HHI", tag, 4, len(numbers)) + packed
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + fields + bytes(4) + values.ljust(100, b"\0")
    path.write_bytes(head + b"".join(parts))
    return path


def _portable(path: Path, levels: np.ndarray, white: int, *, plain: bool = False) -> Path:
    number = {(2, True): 2, (3, True): 3, (2, False): 5, (3, False): 6}[levels.ndim, plain]
    head = f"P{number} # of a test\n{levels.shape[1]} {levels.shape[0]}\n{white}\n".encode()
    words = " ".join(map(str, levels.ravel())).encode()
    path.write_bytes(head + (words if plain else levels.astype(">u2" if white > 255 else "u1").tobytes()))
    return path


DEEP = np.arange(60, dtype=np.uint16).reshape(4, 5, 3) * 1111


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("levels", [DEEP, DEEP[..., 0]], ids=["colour", "grey"])
def test_a_ppm_of_more_than_8_bits_has_the_levels_that_it_stores(
    tmp_path: Path, levels: np.ndarray, plain: bool
) -> None:
    expected = levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, 2)
    full = _portable(tmp_path / "a.ppm", levels, 0xFFFF, plain=plain)
    assert np.array_equal(decode(full), expected >> 8)
    dark = _portable(tmp_path / "b.ppm", levels >> 4, 0xFFFF, plain=plain)
    with pytest.raises(Unreadable, match="--value-range"):
        decode(dark)
    assert np.array_equal(decode(dark, Values(0, 4095, "deep")), expected >> 8)
    named = _portable(tmp_path / "c.ppm", levels >> 4, 4095, plain=plain)
    assert np.array_equal(decode(named), expected >> 8), "the file says what is white"
    assert np.array_equal(decode(named, Values(0, 0xFFFF, "deep")), expected >> 8), "whatever others use"
    assert np.array_equal(decode(named, Values(0, 4095, "files")), expected >> 8), "stated"


def test_a_ppm_of_fewer_bits_is_scaled_by_what_it_says_is_white(tmp_path: Path) -> None:
    file = _portable(tmp_path / "a.pgm", np.arange(16).reshape(4, 4), 15)
    assert decode(file)[..., 0].ravel().tolist() == list(range(0, 256, 17))
    assert decode(file, Values(0, 15, "files")).max() == 255


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("wrong", ["above", "cut"])
def test_a_ppm_with_levels_above_its_maximum_or_without_some_is_refused(
    tmp_path: Path, wrong: str, plain: bool
) -> None:
    file = _portable(tmp_path / "a.ppm", DEEP, 0xFFFF if wrong == "cut" else 1000, plain=plain)
    if wrong == "cut":
        file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(Unreadable):
        decode(file)


@pytest.mark.parametrize("channels", [1, 3, 4], ids=["grey", "colour", "a channel of no meaning"])
def test_the_levels_of_a_tiff_are_those_that_it_stores(tmp_path: Path, channels: int) -> None:
    levels = np.arange(20 * channels, dtype=np.uint16).reshape(4, 5, channels) * (0xFFFF // (20 * channels))
    file = _tiff(tmp_path / "a.tiff", levels >> 4, **({"extra": 0} if channels == 4 else {}))
    expected = levels[..., :3] >> 8 if channels > 1 else np.repeat(levels >> 8, 3, 2)
    assert np.array_equal(decode(file, Values(0, 4095, "deep")), expected)


FOUR = np.dstack([DEEP, DEEP[..., 0]])


def test_a_compressed_tiff_has_the_same_levels(tmp_path: Path) -> None:
    """Pillow reads it by another library, which gives 16 bits in the order of this machine."""
    levels = DEEP >> 4  # Of 12 bits, whose lower 4 show in the result.
    plain, compressed = (
        decode(_tiff(tmp_path / "a.tiff", levels, compression=kind), Values(0, 4095, "deep")) for kind in (1, 8)
    )
    assert np.array_equal(plain, DEEP >> 8)
    assert np.array_equal(compressed, plain)


@fault(
    "images",
    "A file of 16 bits is stored in a way that Pillow reads as other levels",
    here="it is read as stored (PPM, PGM, transparent colours of a PNG), or refused with the reason (planes one by "
    "one, white as 0, CMYK)",
)
@pytest.mark.parametrize(
    ("levels", "tags", "what"),
    [
        (DEEP, {"planes": 2}, "planes one by one"),
        (DEEP[..., :1], {"photometric": 0}, "white as 0"),
        (FOUR, {"extra": 1}, "in this layout"),
        (FOUR, {"photometric": 5}, "in this layout"),
    ],
    ids=["planes", "white is zero", "associated alpha", "CMYK"],
)
def test_a_tiff_of_which_pillow_gives_other_levels_is_refused(
    tmp_path: Path, levels: np.ndarray, tags: dict[str, int], what: str
) -> None:
    with pytest.raises(Unreadable, match=f"16 bits with .*{what}"):
        decode(_tiff(tmp_path / "a.tiff", levels, **tags))


def test_a_deep_png_with_opacity_lies_on_white(tmp_path: Path) -> None:
    opacity = np.full((4, 5), 0xFFFF, np.uint16)
    opacity[1, 2] = 0
    levels = np.dstack([DEEP, opacity])
    expected = np.array(DEEP >> 8)
    expected[1, 2] = 255
    for clear in ([], DEEP[2, 3].tolist()):  # Next to an opacity, such a declaration means nothing.
        assert np.array_equal(decode(_png(tmp_path / "a.png", levels, clear)), expected)


@pytest.mark.parametrize("levels", [DEEP, DEEP[..., 0]], ids=["colour", "grey"])
def test_levels_that_a_deep_png_declares_transparent_lie_on_white(tmp_path: Path, levels: np.ndarray) -> None:
    expected = np.array(levels >> 8 if levels.ndim == 3 else np.repeat(levels[..., None] >> 8, 3, 2))
    expected[2, 3] = 255
    assert np.array_equal(decode(_png(tmp_path / "a.png", levels, levels[2, 3].ravel().tolist())), expected)

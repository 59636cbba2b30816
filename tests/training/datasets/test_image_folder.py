from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnet_search.errors import DataError
from resnet_search.training.datasets import find_duplicates, load_data
from resnet_search.training.datasets.duplicates import Duplicates
from resnet_search.training.datasets.image_folder import load_image_folder
from resnet_search.training.datasets.values import Values
from tests.faults.table import fault


def _save(path: Path, value: int, size: tuple[int, int] = (8, 8), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    value = 0
    for split, count in (("train", 3), ("test", 2)):
        for name in ("zebra", "ant", "bee"):
            for i in range(count):
                value += 1
                _save(tmp_path / "images" / split / name / f"{i}.png", value)
    return tmp_path / "images"


def test_classes_are_sorted_and_files_in_order(folder: Path) -> None:
    data = load_image_folder(folder, None)
    assert data.classes == ("ant", "bee", "zebra")
    assert data.y_train.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert data.y_test.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(data.x_train[1], np.asarray(Image.open(folder / "train" / "ant" / "1.png")))
    assert data.notes == ()


def test_other_sizes_are_resized(folder: Path) -> None:
    _save(folder / "train" / "bee" / "wide.jpg", 90, (30, 10))
    data = load_data(str(folder), image_size=16)
    assert data.x_train.shape == (10, 16, 16, 3)
    with pytest.raises(DataError, match=r"8 x 8 .*30 x 10"):
        load_data(str(folder), image_size=None)


def test_folders_below_a_class_and_links_to_files_count(folder: Path) -> None:
    _save(folder / "train" / "bee" / "more" / "deep" / "x.PNG", 91)
    (folder / "train" / "ant" / "again.png").symlink_to(folder / "train" / "ant" / "0.png")
    assert load_image_folder(folder, 8).y_train.tolist() == [0] * 4 + [1] * 4 + [2] * 3


def test_unreadable_files_are_named_and_counted(folder: Path) -> None:
    broken = folder / "train" / "bee" / "0.png"
    broken.write_bytes(broken.read_bytes()[:100])
    (folder / "test" / "ant" / "text.jpg").write_text("no image")
    (folder / "test" / "ant" / "empty.jpg").touch()
    data = load_image_folder(folder, 8)
    train, test = data.notes
    assert "train/bee/0.png: " in train
    assert "test/ant/text.jpg: " in test
    assert data.left_out == {"train": {"unreadable": 1}, "test": {"unreadable": 2}}
    assert len(data.y_train) == 8
    assert len(data.y_test) == 6


def test_many_unreadable_files_are_counted_and_some_named(folder: Path) -> None:
    for i in range(30):
        (folder / "train" / "ant" / f"bad{i:02}.png").write_bytes(b"x")
    data = load_image_folder(folder, 8)
    assert data.left_out["train"] == {"unreadable": 30}
    assert " 25 more" in data.notes[0]


def test_a_bomb_is_unreadable(folder: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    _save(folder / "train" / "ant" / "bomb.png", 92, (40, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    [note] = load_image_folder(folder, 8).notes
    for fact in ("train/ant/bomb.png", "40 x 40", "1,000"):
        assert fact in note
    assert not recwarn.list


def test_hidden_and_other_files_are_ignored(folder: Path) -> None:
    (folder / "train" / "ant" / ".DS_Store").write_bytes(b"x")
    (folder / "train" / "ant" / "._0.png").write_bytes(b"x")
    (folder / "train" / ".cache").mkdir()
    _save(folder / "train" / "ant" / ".thumbs" / "0.png", 93)
    (folder / "train" / "ant" / "labels.csv").write_text("x")
    (folder / "train" / "README.md").write_text("x")
    data = load_image_folder(folder, 8)
    assert len(data.y_train) == 9
    assert data.left_out == {"train": {"suffix": 2, "hidden": 4}, "test": {}}
    [note] = data.notes
    assert ".csv 1" in note


def test_folders_of_thumbnails_are_left_out_by_name(folder: Path) -> None:
    for place in (folder / "train", folder / "train" / "ant"):
        _save(place / "@eaDir" / "0.png" / "SYNOPHOTO_THUMB_M.jpg", 93)
        (place / "__MACOSX").mkdir()
    data = load_image_folder(folder, 8)
    assert data.classes == ("ant", "bee", "zebra")
    assert len(data.y_train) == 9
    assert data.left_out["train"] == {"hidden": 4}


def test_a_pipe_does_not_block(folder: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes on this platform")
    os.mkfifo(folder / "train" / "ant" / "pipe.png")
    data = load_image_folder(folder, 8)
    assert len(data.y_train) == 9
    assert data.left_out["train"] == {"special": 1}


@fault(
    "images",
    "Test images are also training images",
    here="they are counted and named, in every source",
)
def test_images_in_train_and_test_are_reported_by_their_pixels(folder: Path) -> None:
    same = folder / "train" / "ant" / "0.png"
    Image.open(same).save(folder / "test" / "bee" / "copy.bmp")
    _, found, (note,) = find_duplicates(load_image_folder(folder, 8))
    assert found == Duplicates(test_in_train=1)
    assert note.endswith("test/bee/copy.bmp = train/ant/0.png")


@fault(
    "images",
    "A class folder has links to folders, to folders above it, or to nothing",
    here="links are followed, each folder is read once, and what is left out is counted, in `plan`, `run` and "
    "`predict` alike",
)
def test_links_to_folders_are_followed_and_each_folder_is_read_once(folder: Path, tmp_path: Path) -> None:
    for number in range(2):
        _save(tmp_path / "elsewhere" / "moths" / f"{number}.png", 200 + number)
    (folder / "train" / "ant" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "train" / "ant" / "zz").symlink_to(tmp_path / "elsewhere" / "moths", target_is_directory=True)
    (folder / "train" / "ant" / "up").symlink_to("..", target_is_directory=True)
    (folder / "train" / "bee" / "gone.png").symlink_to("nothing")
    data = load_image_folder(folder, 8)
    assert [data.y_train.tolist().count(label) for label in range(3)] == [5, 3, 3]
    assert data.left_out["train"] == {"broken_link": 1, "read_already": 2}


def test_a_class_folder_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / "train" / "bee").rename(tmp_path / "store")
    (folder / "train" / "bee").symlink_to(tmp_path / "store", target_is_directory=True)
    assert load_image_folder(folder, 8).y_train.tolist() == [0] * 3 + [1] * 3 + [2] * 3


@fault(
    "images",
    "A folder of images may not be read",
    here="it is counted and named with the reason; a class without any readable image is an error",
)
def test_folders_that_cannot_be_read_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The permission is denied here by a stand-in, because root may read everything."""
    _save(folder / "train" / "ant" / "closed" / "0.png", 201)
    real = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    data = load_image_folder(folder, 8)
    assert data.left_out["train"] == {"closed_folder": 1}
    assert "train/ant/closed: Permission denied" in data.notes[0]
    (folder / "train" / "ant").rename(folder / "train" / "closed")
    (folder / "test" / "ant").rename(folder / "test" / "closed")
    with pytest.raises(DataError, match=r"(?s)closed.*Permission denied"):
        load_image_folder(folder, 8)


@fault(
    "images",
    "The class folders are one level too deep: `train/images/<class>/`",
    here="the classes are the folders there, and a note says so",
)
@pytest.mark.parametrize("nested", [("train",), ("train", "test")])
def test_classes_may_be_one_level_further_down(folder: Path, nested: tuple[str, ...]) -> None:
    for split in nested:
        (folder / split).rename(folder / "images")
        (folder / split).mkdir()
        (folder / "images").rename(folder / split / "images")
    data = load_image_folder(folder, 8)
    assert data.classes == ("ant", "bee", "zebra")
    assert len(data.notes) == len(nested)
    assert data.notes[0].endswith(str(Path("train", "images")))


@fault(
    "images",
    "There is only one class",
    here="an error: every network would be right on every image",
)
def test_a_single_class_is_refused(folder: Path) -> None:
    for split in ("train", "test"):
        for name in ("bee", "zebra"):
            shutil.rmtree(folder / split / name)
    with pytest.raises(DataError, match=r"1 class.* 2 "):
        load_image_folder(folder, 8)


def test_names_of_classes_are_compared_in_one_unicode_form(folder: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    _save(folder / "train" / decomposed / "0.png", 202)
    _save(folder / "test" / composed / "0.png", 203)
    data = load_image_folder(folder, 8)
    assert data.classes == ("ant", "bee", decomposed, "zebra")
    assert data.y_test.tolist().count(2) == 1
    _save(folder / "train" / composed / "1.png", 204)
    data = load_image_folder(folder, 8)
    assert len(data.classes) == 4
    assert data.y_train.tolist().count(2) == 2


@pytest.mark.parametrize("suffix", [".jfif", ".JPE", ".Jpeg", ".PnG", ".dib"])
def test_every_suffix_of_a_format_counts(folder: Path, suffix: str) -> None:
    _save(folder / "train" / "ant" / f"new{suffix}", 205)
    data = load_image_folder(folder, 8)
    assert len(data.y_train) == 10
    assert data.left_out["train"] == {}


def test_images_outside_the_class_folders_are_counted(folder: Path) -> None:
    _save(folder / "train" / "loose.png", 206)
    assert load_image_folder(folder, 8).left_out["train"] == {"outside_classes": 1}


def _deep(path: Path, levels: np.ndarray) -> None:
    Image.fromarray(levels.astype(np.uint16)).save(path)


@fault(
    "images",
    "Images of 16 bits use only the lower bits",
    here="they are scaled by the bits that the whole set uses, and in `predict` in the same way; if that is not "
    "certain, the error names `--value-range`",
)
@pytest.mark.parametrize("bits", [8, 9, 12, 16])
def test_16_bits_are_scaled_by_what_the_set_uses(folder: Path, bits: int) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (8, 8))
    grey[0, 0] = 255
    for split in ("train", "test"):
        _deep(folder / split / "ant" / "0.png", grey << (bits - 8))
    data = load_image_folder(folder, None)
    assert data.values == Values(0, 2**bits - 1, "deep")
    assert np.array_equal(data.x_train[0, ..., 0], grey)
    assert np.array_equal(data.x_test[0, ..., 0], grey)


@pytest.mark.parametrize("scales", [(16, 4), (4, 16), (256, 1)])
def test_other_scales_in_train_and_test_are_an_error(folder: Path, scales: tuple[int, int]) -> None:
    for split, scale in zip(("train", "test"), scales, strict=True):
        _deep(folder / split / "ant" / "0.png", np.full((8, 8), 255) * scale)
    with pytest.raises(DataError, match=r"train/.*test/") as error:
        load_image_folder(folder, None)
    assert "--value-range" in error.value.cure


@pytest.mark.parametrize("dark", ["train", "test"])
def test_bytes_of_another_scale_are_an_error_unless_stated(folder: Path, dark: str) -> None:
    for file in (folder / dark).rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(file)) // 16).save(file)
    with pytest.raises(DataError) as error:
        load_data(str(folder))
    assert "--value-range 0,255" in error.value.cure
    assert load_data(str(folder), value_range=(0, 255)).x_train.any()
    assert load_data(str(folder), rule=1).x_train.any()


def test_few_levels_in_16_bits_ask_for_the_option(folder: Path) -> None:
    _deep(folder / "train" / "ant" / "0.png", np.arange(64).reshape(8, 8) % 17)
    with pytest.raises(DataError) as error:
        load_image_folder(folder, None)
    assert "--value-range" in error.value.cure


def test_a_stated_range_holds_for_every_file(folder: Path) -> None:
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        _deep(file, np.arange(64).reshape(8, 8) % 17 if number % 2 else np.full((8, 8), 16))
    Image.fromarray(np.full((8, 8), 16, np.uint8)).save(folder / "train" / "ant" / "0.png")
    data = load_image_folder(folder, None, (0, 16))
    assert (data.x_train[0] == 255).all()
    assert data.x_train.max() == 255
    assert data.values == Values(0, 16, "files")
    Image.fromarray(np.full((8, 8), 17, np.uint8)).save(folder / "train" / "ant" / "0.png")
    with pytest.raises(DataError, match=r"train/ant/0\.png"):
        load_image_folder(folder, None, (0, 16))


def test_runs_of_earlier_versions_read_16_bits_as_such(folder: Path) -> None:
    _deep(folder / "train" / "ant" / "0.png", np.full((8, 8), 4095))
    assert load_image_folder(folder, None, certain=False).x_train[0].max() == 15


def test_a_class_that_is_never_tested_is_noted(folder: Path) -> None:
    _save(folder / "train" / "cat" / "0.png", 94)
    (folder / "test" / "cat").mkdir()
    [note] = load_data(str(folder)).notes
    for fact in ("in test", "cat"):
        assert fact in note


def test_a_class_in_test_alone_is_an_error(folder: Path) -> None:
    _save(folder / "test" / "cat" / "0.png", 95)
    with pytest.raises(DataError, match=r"cat .*test"):
        load_image_folder(folder, 8)


def test_a_class_without_a_readable_image_is_an_error(folder: Path) -> None:
    (folder / "train" / "cat").mkdir()
    with pytest.raises(DataError, match=r"train/ .*cat"):
        load_image_folder(folder, 8)
    (folder / "train" / "cat" / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"(?s)cat.* 1 .*train/cat/a\.png"):
        load_image_folder(folder, 8)


def test_a_test_split_without_images_is_an_error(folder: Path) -> None:
    for file in (folder / "test").rglob("*.png"):
        file.unlink()
    with pytest.raises(DataError, match=r"test/ .*ant, bee, zebra"):
        load_image_folder(folder, 8)


@pytest.mark.parametrize("lacking", ["train", "test"])
def test_a_missing_split_is_named(folder: Path, lacking: str) -> None:
    (folder / lacking).rename(folder / "valid")
    with pytest.raises(DataError, match=f"{lacking}/") as error:
        load_data(str(folder))
    assert "train/<class>/" in error.value.cure


def test_images_without_class_folders_are_an_error(tmp_path: Path) -> None:
    for split in ("train", "test"):
        _save(tmp_path / split / "0.png", 96)
    with pytest.raises(DataError, match="train: "):
        load_image_folder(tmp_path, 8)


def test_hostile_names_are_kept_as_text(tmp_path: Path) -> None:
    names = ["[red]x[bold]", "a\x1b[2Jb", "$(touch x)", "line\nbreak", "'; DROP TABLE", os.fsdecode(b"\xff\xfe"), "猫"]
    for split in ("train", "test"):
        for i, name in enumerate(names):
            _save(tmp_path / split / name / "0.png", 100 + i + (split == "test") * 50)
    classes = load_image_folder(tmp_path, 8).classes
    assert set(classes) == {
        "[red]x[bold]",
        "a\\x1b[2Jb",
        "$(touch x)",
        "line\\nbreak",
        "'; DROP TABLE",
        "\\udcff\\udcfe",
        "猫",
    }
    assert all(name.isprintable() and name.encode() for name in classes)

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnet_search.errors import DataError
from resnet_search.training.datasets import load_data
from resnet_search.training.datasets.image_folder import load_image_folder


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
    assert train.startswith("train: 1 ")
    assert "train/bee/0.png (" in train
    assert test.startswith("test: 2 ")
    assert "test/ant/text.jpg" in test
    assert len(data.y_train) == 8
    assert len(data.y_test) == 6


def test_many_unreadable_files_are_counted_and_some_named(folder: Path) -> None:
    for i in range(30):
        (folder / "train" / "ant" / f"bad{i:02}.png").write_bytes(b"x")
    note = load_image_folder(folder, 8).notes[0]
    assert "30 unreadable" in note
    assert note.endswith(" 25 more")


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
    [note] = data.notes
    assert note.startswith("train: 1 file ")


def test_a_pipe_does_not_block(folder: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes on this platform")
    os.mkfifo(folder / "train" / "ant" / "pipe.png")
    assert len(load_image_folder(folder, 8).y_train) == 9


def test_images_in_train_and_test_are_reported_by_their_pixels(folder: Path) -> None:
    same = folder / "train" / "ant" / "0.png"
    Image.open(same).save(folder / "test" / "bee" / "copy.bmp")
    (note,) = load_image_folder(folder, 8).notes
    assert note.startswith("1 ")
    assert note.endswith("test/bee/copy.bmp = train/ant/0.png")


def test_a_class_that_is_never_tested_is_noted(folder: Path) -> None:
    _save(folder / "train" / "cat" / "0.png", 94)
    (folder / "test" / "cat").mkdir()
    [note] = load_image_folder(folder, 8).notes
    for fact in ("test/", "cat"):
        assert fact in note


def test_a_class_in_test_alone_is_an_error(folder: Path) -> None:
    _save(folder / "test" / "cat" / "0.png", 95)
    with pytest.raises(DataError, match=r"cat .*test/"):
        load_image_folder(folder, 8)


def test_a_class_without_a_readable_image_is_an_error(folder: Path) -> None:
    (folder / "train" / "cat").mkdir()
    with pytest.raises(DataError, match=r"train/ .*cat"):
        load_image_folder(folder, 8)
    (folder / "train" / "cat" / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"(?s)cat.* 1 .*train/cat/a.png"):
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

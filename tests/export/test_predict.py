from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnet_search.errors import ExportError, RunError
from resnet_search.export import predict
from resnet_search.export.folder import MANIFEST
from resnet_search.export.predict import Classified, Export, Unread, classify, find_export
from resnet_search.runs.exports import Network
from resnet_search.training.datasets.image_files import LeftOut
from resnet_search.training.datasets.image_folder import load_image_folder
from resnet_search.training.datasets.values import Values
from tests.export import colours


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    colours.describe(tmp_path / "export")
    monkeypatch.setattr(predict, "running", colours.running)
    return find_export(str(tmp_path / "export"), tmp_path)


def test_an_export_is_found_by_its_folder_its_model_and_its_run(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "mine" / "export"
    colours.describe(folder)
    (folder / "saved_model" / "saved_model.pb").touch()
    (folder.parent / "run.json").write_text("{}")
    found = Export(
        folder / "saved_model", Network("night", ("0018",), "basic14-w4", 0.8879), colours.CLASSES, *colours.SIZE
    )
    assert find_export(str(folder), Path("runs")) == found
    assert find_export(str(folder / "saved_model"), Path("runs")) == found
    assert find_export("mine", tmp_path / "runs") == found


def test_what_is_neither_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"EXPORT: got 'nonsense'.*export\.json"):
        find_export("nonsense", tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "run.json").write_text("{}")
    with pytest.raises(RunError, match="EXPORT: got 'mine'") as raised:
        find_export("mine", tmp_path)
    assert raised.value.cure == "resnet-search export mine"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("classes.json", "{"),
        ("classes.json", '"abc"'),
        ("classes.json", "3"),
        ("export.json", "[]"),
        ("export.json", '{"trial": 1, "input": {"shape": [null, 8, 12]}}'),
        ("export.json", '{"trial": 1, "input": {"shape": [null, 0, 12, 3]}}'),
        ("export.json", '{"trial": 1, "input": {"shape": [null, 8, "x", 3]}}'),
        ("export.json", '{"trial": 1, "input": {"shape": [null, 8, 12, 1]}}'),
        ("export.json", '{"trial": 1, "input": null}'),
    ],
)
def test_a_damaged_export_is_named(tmp_path: Path, file: str, text: str) -> None:
    colours.describe(tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(ExportError) as raised:
        find_export(str(tmp_path), tmp_path)
    assert str(tmp_path) in raised.value.message


def test_an_export_without_its_model(tmp_path: Path) -> None:
    colours.describe(tmp_path)
    (tmp_path / "saved_model").rmdir()
    with pytest.raises(ExportError, match="saved_model"):
        find_export(str(tmp_path), tmp_path)


def test_files_and_folders_in_order(export: Export, tmp_path: Path) -> None:
    images = tmp_path / "images"
    blue = colours.paint(images / "b.webp", "blue", lossless=True)
    green = colours.paint(images / "deeper" / "a.gif", "green")
    colours.paint(images / ".hidden.png", "red")
    colours.paint(images / ".hidden" / "x.png", "red")
    (images / "notes.txt").write_text("no image")
    red = colours.paint(tmp_path / "named.png", "red").rename(tmp_path / "named.dat")
    found = list(classify(export, [red, images], 2))
    assert [one.file for one in found] == [red, blue, green]
    assert [one.top[0][0] for one in found if isinstance(one, Classified)] == ["red", "blue", "green"]
    first = found[0]
    assert isinstance(first, Classified)
    assert len(first.top) == 2
    assert first.top[0][1] > 0.99 > first.top[1][1]


def test_what_cannot_be_read_is_told_and_the_rest_is_classified(export: Export, tmp_path: Path) -> None:
    torn = colours.paint(tmp_path / "torn.png", "red")
    torn.write_bytes(torn.read_bytes()[:40])
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    good = colours.paint(tmp_path / "good.png", "red")
    long = tmp_path / ("x" * 3000)
    given = [torn, tmp_path / "nothing.png", tmp_path / "empty", tmp_path / "pipe.png", long, good]
    found = list(classify(export, given, 1))
    assert [type(one) for one in found] == [Unread] * 5 + [Classified]
    reasons = [one.reason for one in found if isinstance(one, Unread)]
    assert reasons[-1] == "File name too long"
    assert len(set(reasons)) == 5, "each has its own"


def test_nothing_readable_at_all(export: Export, tmp_path: Path) -> None:
    assert [type(one) for one in classify(export, [tmp_path / "nothing.png"], 1)] == [Unread]


def test_images_are_read_batch_by_batch(export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those of a batch are in memory: none of the next is decoded before the first is told."""
    monkeypatch.setattr(predict, "batch_size", lambda *_: 3)
    decoded: list[str] = []
    decode = predict.decode
    monkeypatch.setattr(predict, "decode", lambda file, values: decoded.append(file.name) or decode(file, values))
    for at in range(8):
        colours.paint(tmp_path / "images" / f"{at}.png", "red")
    found = classify(export, [tmp_path / "images"], 1)
    next(found)
    assert sorted(decoded) == ["0.png", "1.png", "2.png"]
    assert len(list(found)) == 7


def test_images_become_what_they_are_for_training(export: Export, tmp_path: Path, monkeypatch) -> None:
    """Upright, on white, stretched: the same bytes as those of an image folder."""
    seen: list[np.ndarray] = []

    def run(images):
        seen.append(images)
        return colours.probabilities(images)

    class Running:
        def __init__(self, _: Path) -> None:
            pass

        def __enter__(self):
            return run

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(predict, "running", Running)
    random = np.random.default_rng(0)
    turned = Image.Exif()
    turned[0x0112] = 6
    for split in ("train", "test"):
        (tmp_path / split / "c").mkdir(parents=True)
        (tmp_path / split / "d").mkdir(parents=True)
        Image.fromarray(random.integers(0, 256, (9, 9), dtype=np.uint8)).save(tmp_path / split / "d" / "a.jfif")
        Image.fromarray(random.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(
            tmp_path / split / "c" / "a.jpg", exif=turned
        )
        Image.fromarray(random.integers(0, 256, (9, 7, 4), dtype=np.uint8)).save(tmp_path / split / "c" / "b.png")
    square = Export(export.saved_model, export.network, export.classes, 16, 16)
    list(classify(square, [tmp_path / "test"], 1))
    assert np.array_equal(seen[0], load_image_folder(tmp_path, 16).x_test)


def test_a_folder_that_is_called_like_a_class_tells_the_truth(export: Export, tmp_path: Path, monkeypatch) -> None:
    colours.paint(tmp_path / "red" / "deeper" / "a.png", "red")
    colours.paint(tmp_path / "blue" / "a.png", "red")
    colours.paint(tmp_path / "else" / "a.png", "red")

    def truths(*given: Path) -> list[str | None]:
        return [one.truth for one in classify(export, given, 1) if isinstance(one, Classified)]

    assert truths(tmp_path) == ["blue", None, "red"]
    assert truths(tmp_path / "red") == ["red"]
    assert truths(tmp_path / "blue" / "a.png") == ["blue"]
    # What lies above the folder that was named is chance: a home, a project.
    assert truths(tmp_path / "red" / "deeper") == [None]
    monkeypatch.chdir(tmp_path / "red")
    assert truths(Path()) == ["red"]


def test_the_outermost_class_folder_tells_the_truth_as_in_training(export: Export, tmp_path: Path) -> None:
    for split in ("train", "test"):
        for place in ("red", "red/blue", "blue"):
            colours.paint(tmp_path / split / place / "a.png", place.rpartition("/")[2])
    found = [one for one in classify(export, [tmp_path / "test"], 1) if isinstance(one, Classified)]
    trained = load_image_folder(tmp_path, 8)
    expected = {tmp_path / name: trained.classes[y] for name, y in zip(trained.test_files, trained.y_test, strict=True)}
    assert {one.file: one.truth for one in found} == expected


def test_a_file_that_is_given_twice_is_counted_once(export: Export, tmp_path: Path) -> None:
    colours.paint(tmp_path / "red" / "a.png", "red")
    (tmp_path / "red" / "b.png").symlink_to("a.png")
    (tmp_path / "link").symlink_to("red", target_is_directory=True)
    left_out = LeftOut()
    given = [tmp_path / "red", tmp_path / "red" / ".." / "red" / "a.png", tmp_path / "link"]
    assert [one.file.name for one in classify(export, given, 1, left_out)] == ["a.png", "b.png"]
    assert left_out.counts() == {"given_twice": 3}


def test_folders_are_read_as_for_training(export: Export, tmp_path: Path) -> None:
    """Links to folders, all suffixes of the formats, Unicode forms; what is left out is counted."""
    named = replace(export, classes=("caf\u00e9", *export.classes[1:]))
    colours.paint(tmp_path / "store" / "a.png", "red")
    colours.paint(tmp_path / "photos" / "cafe\u0301" / "A.PNG", "red")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "photos" / "cafe\u0301" / "b.jfif", format="JPEG")
    (tmp_path / "photos" / "blue").symlink_to(tmp_path / "store", target_is_directory=True)
    (tmp_path / "photos" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "photos" / ".hidden").touch()
    (tmp_path / "photos" / "notes.txt").touch()
    left_out = LeftOut()
    found = list(classify(named, [tmp_path / "photos"], 1, left_out))
    assert [(one.file.name, one.truth) for one in found if isinstance(one, Classified)] == [
        ("a.png", "blue"), ("A.PNG", "caf\u00e9"), ("b.jfif", "caf\u00e9"),
    ]  # fmt: skip
    assert left_out.counts() == {"suffix": 1, "hidden": 1, "read_already": 1}


def _decodes(export: Export, path: Path, levels: np.ndarray, values: Values | None) -> int | str:
    """The brightest byte of an image of these levels, or why it is not read."""
    Image.fromarray(levels).save(path)
    read = predict._decoded((path, path.parent), replace(export, values=values))
    return read.reason if isinstance(read, Unread) else int(read.max())


def test_numbers_of_files_mean_what_they_meant_in_training(export: Export, tmp_path: Path) -> None:
    twelve, bytes_ = np.full((8, 8), 4095, np.uint16), np.full((8, 8), 16, np.uint8)
    path = tmp_path / "a.png"
    assert _decodes(export, path, twelve, Values(0, 4095, "deep")) == 255
    assert _decodes(export, path, twelve // 2, Values(0, 4095, "deep").of_files()) == 127
    assert _decodes(export, path, twelve, Values(0, 4095, "arrays").of_files()) == 255
    assert "--value-range" in str(_decodes(export, path, twelve, None))
    assert "4095" in str(_decodes(export, path, twelve, Values(0, 1023, "deep")))
    # A file of 8 bits has a range of its own, unless another was stated for files.
    assert _decodes(export, path, bytes_, Values(0, 16, "arrays").of_files()) == 16
    assert _decodes(export, path, bytes_, Values(0, 16, "files").of_files()) == 255


@pytest.mark.parametrize("values", [{"low": 0}, {"low": "a", "high": 1, "of": "files"}, 3])
def test_damaged_values_are_an_error(export: Export, values: Any) -> None:
    folder = export.saved_model.parent
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["input"]["values"] = values
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ExportError):
        find_export(str(folder), folder)


def test_classes_of_equal_probability_come_in_their_order(export: Export, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "grey.png")
    (found,) = classify(export, [tmp_path / "grey.png"], 3)
    assert isinstance(found, Classified)
    assert [name for name, _ in found.top] == list(colours.CLASSES)

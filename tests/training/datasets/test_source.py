from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from resnet_search.errors import DataError
from resnet_search.training.datasets import describe_source, load_data, source

PROGRAM = """
import sys
from resnet_search.training.datasets import count_images, describe_source, load_data
for call in sys.argv[1:]:
    eval(call)
    print(*sorted({"tensorflow", "tensorflow_datasets", "keras", "jax", "PIL", "numpy"} & set(sys.modules)))
"""


def _imports(*calls: str) -> list[set[str]]:
    """The slow packages that are loaded after each of several calls in one process."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM, *calls], check=True, capture_output=True, text=True)
    return [set(line.split()) for line in ran.stdout.splitlines()]


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    images, labels = np.full((4, 8, 8, 3), 200, np.uint8), np.array([0, 1, 0, 1])
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    return tmp_path / "a.npz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from PIL import Image

    for split in ("train", "test"):
        for name in "ab":
            (tmp_path / "f" / split / name).mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(tmp_path / "f" / split / name / "0.png")
    return tmp_path / "f"


@pytest.mark.usefixtures("binary")
def test_describing_imports_nothing_slow(tmp_path: Path) -> None:
    names = ("shapes", "cifar10", "tfds:mnist", str(tmp_path))
    assert _imports(*(f"describe_source({name!r}, {str(tmp_path)!r})" for name in names)) == [set()] * 4


def test_counting_imports_nothing_slow(tmp_path: Path, npz: Path, folder: Path, pickled: Path) -> None:
    for name in "ab":
        (folder / "train" / name / "1.png").write_bytes(b"")
    names = ("shapes", "cifar10", "tfds:mnist", *map(str, (folder, npz, pickled)))
    imported = _imports(*(f"count_images({name!r}, {str(tmp_path)!r})" for name in names))
    assert imported == [set()] * 4 + [{"numpy"}] * 2


def test_archives_npz_and_shapes_load_without_tensorflow(pickled: Path, binary: Path, npz: Path) -> None:
    loaded = _imports(
        "load_data('shapes')",
        f"load_data({str(pickled)!r})",
        f"load_data({str(binary)!r})",
        f"load_data('cifar10', data_dir={str(binary)!r})",
        f"load_data({str(npz)!r})",
    )
    assert loaded == [{"numpy"}] * 4 + [{"numpy", "PIL"}], "Pillow for another size"


def test_a_folder_of_images_loads_without_tensorflow(folder: Path) -> None:
    assert _imports(f"load_data({str(folder)!r})") == [{"numpy", "PIL"}]


@pytest.mark.usefixtures("pickled")
def test_a_report_names_kind_and_place(tmp_path: Path, npz: Path, folder: Path, pack: object, pickled: Path) -> None:
    archive = pack(pickled, "cifar-10-python.tar.gz")
    for path, kind, place in (
        (npz, "npz", npz),
        (folder, "image folder", folder),
        (archive, "archive", archive),
        (tmp_path, "folder", pickled),
    ):
        report = describe_source(str(path))
        assert (report.kind, report.location, report.found) == (kind, str(place), True)
    assert describe_source("shapes").kind == "generated"
    assert describe_source("cifar10", tmp_path).location == str(pickled)
    missing = describe_source("cifar10")
    assert (missing.kind, missing.found) == ("download", False)
    assert "cifar-10-python.tar.gz" in missing.cure


def test_data_says_what_was_asked_for_and_where_it_was(pickled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_data("cifar10", data_dir=pickled.parent)
    assert (data.source, data.location) == ("cifar10", str(pickled))
    monkeypatch.chdir(pickled.parent)
    assert load_data("cifar10").location == str(pickled)
    assert load_data("cifar10", data_dir=pickled / "elsewhere").notes[0].startswith("no CIFAR-10 ")


def test_cifar10_without_copy_or_network_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "unreachable", lambda url: "Name or service not known")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)  # its import alone takes seconds
    with pytest.raises(DataError) as error:
        load_data("cifar10", data_dir=tmp_path / "nothing")
    message = str(error.value)
    for word in (
        "nothing",
        "tensorflow_datasets",
        "Keras",
        "torchvision",
        "toronto",
        "Name or service",
        "--data shapes",
    ):
        assert word in message


def test_a_damaged_copy_in_a_cache_is_passed_over(pickled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Path("~/.keras/datasets").expanduser()
    cache.mkdir(parents=True)
    (cache / "cifar-10-batches-py.tar.gz").write_bytes(b"\x1f\x8b damaged")
    monkeypatch.chdir(pickled.parent)
    data = load_data("cifar10")
    assert data.location == str(pickled)
    assert "passed over" in data.notes[0]
    assert "cifar-10-batches-py.tar.gz" in data.notes[0]


def test_a_damaged_copy_where_the_user_pointed_is_an_error(pickled: Path) -> None:
    (pickled / "data_batch_1").write_bytes(b"damaged")
    with pytest.raises(DataError, match="data_batch_1"):
        load_data("cifar10", data_dir=pickled)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cifar1O", "cifar10"),
        ("shape", "shapes"),
        ("", "''"),
        (".", "train/"),
        ("/no/such/file.npz", "/no/such/file.npz"),
        ("~nobody-of-that-name/x", "~nobody-of-that-name/x"),
        ("a\0b", "x00b"),
        ("x" * 5_000, "xxx"),
        ("data.txt", ".txt"),
        ("tfds:", "tfds:"),
        ("tfds:../../etc", "tfds:../../etc"),
        ("tfds:mnist:new", "tfds:mnist:new"),
        ("tfds:a b", "tfds:a b"),
        ("s3://bucket/cifar10", "s3://bucket/cifar10"),
    ],
)
def test_what_is_no_source_is_named(name: str, words: str) -> None:
    Path("data.txt").touch()
    with pytest.raises(DataError) as error:
        load_data(name)
    assert words in error.value.message
    assert "tfds:" in error.value.cure


@pytest.mark.parametrize("size", [0, 10_000, 2.5, "32"])
def test_a_wrong_image_size_is_refused_before_anything_is_read(size: object) -> None:
    with pytest.raises(DataError, match="image_size"):
        load_data("shapes", image_size=size)


def test_every_source_can_be_resized(npz: Path) -> None:
    assert load_data("shapes", image_size=16).x_test.shape == (1_000, 16, 16, 3)
    assert load_data(str(npz), image_size=None).x_test.shape == (4, 8, 8, 3)

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resnet_search.errors import DataError
from resnet_search.training.datasets import cifar_archives, find_duplicates, fingerprint, load_data, split
from resnet_search.training.datasets.cifar_archives import CLASSES, load_cifar_archive
from resnet_search.training.datasets.duplicates import Duplicates

ROWS = 20
Pack = Callable[[Path, str], Path]
Batches = dict[str, tuple[np.ndarray, list[int]]]


def test_every_form_gives_the_same_images(
    pack: Pack, pickled: Path, binary: Path, tmp_path: Path, batches: Batches
) -> None:
    forms = [pickled, binary, pack(pickled, "py.tar.gz"), pack(binary, "bin.tar.gz")]
    data = [load_cifar_archive(form) for form in forms]
    assert len({fingerprint(each) for each in data}) == 1
    assert data[0].x_train.shape == (5 * ROWS, 32, 32, 3)
    assert data[0].x_test.shape == (ROWS, 32, 32, 3)
    assert data[0].classes == CLASSES
    rows, labels = batches["data_batch_2"]
    assert data[0].y_train[ROWS : 2 * ROWS].tolist() == labels
    red, green = rows[3, :1024].reshape(32, 32), rows[3, 1024:2048].reshape(32, 32)
    assert np.array_equal(data[0].x_train[ROWS + 3, :, :, 0], red)
    assert np.array_equal(data[0].x_train[ROWS + 3, :, :, 1], green)


def test_the_inner_folder_may_be_there_or_not(pickled: Path, tmp_path: Path) -> None:
    inner, outer = load_data(str(pickled)), load_data(str(pickled.parent))
    assert fingerprint(inner) == fingerprint(outer)
    flat = tmp_path / "flat.tar.gz"
    with tarfile.open(flat, "w:gz") as archive:
        for file in pickled.iterdir():
            archive.add(file, f"./{file.name}")
    assert fingerprint(load_data(str(flat))) == fingerprint(inner)


def test_an_uncompressed_archive_is_read(binary: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "plain.tar", "w") as archive:
        archive.add(binary, binary.name)
    assert len(load_data(str(tmp_path / "plain.tar")).x_test) == ROWS


def test_what_differs_from_the_published_is_noted(
    pack: Pack, binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack(binary, "cifar-10-binary.tar.gz")
    notes = load_cifar_archive(archive).notes
    for images in ("100 + 20", "50,000 + 10,000"):
        assert images in " ".join(notes)
    own = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(cifar_archives.PUBLISHED_SHA256, own, "cifar-10-binary.tar.gz")
    # Another note, of an archive whose checksum is known.
    assert load_cifar_archive(archive).notes[0] != notes[0]


def _tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def _members(folder: Path, **renamed: str) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [(tarfile.TarInfo(renamed.get(f.stem, f"c/{f.name}")), f.read_bytes()) for f in sorted(folder.iterdir())]


@pytest.mark.parametrize(
    "name", ["/data_batch_1.bin", "../data_batch_1.bin", "c/../data_batch_1.bin", "a/b/data_batch_1.bin"]
)
def test_a_member_elsewhere_does_not_count(binary: Path, tmp_path: Path, name: str) -> None:
    archive = _tar(tmp_path / "x.tar.gz", _members(binary, data_batch_1=name))
    with pytest.raises(DataError, match=r"data_batch_1\.bin"):
        load_cifar_archive(archive)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_a_link_or_device_in_place_of_a_batch_is_refused(binary: Path, tmp_path: Path, kind: bytes) -> None:
    link = tarfile.TarInfo("c/data_batch_1.bin")
    link.type, link.linkname = kind, "/etc/passwd"
    archive = _tar(tmp_path / "x.tar.gz", [(link, b""), *_members(binary)])
    with pytest.raises(DataError, match=r"data_batch_1\.bin"):
        load_cifar_archive(archive)


def test_a_batch_that_is_there_twice_is_refused(binary: Path, tmp_path: Path) -> None:
    archive = _tar(tmp_path / "x.tar.gz", _members(binary) + _members(binary)[:2])
    with pytest.raises(DataError, match="twice"):
        load_cifar_archive(archive)


def test_other_members_are_ignored_and_nothing_is_written(binary: Path, tmp_path: Path) -> None:
    evil = [(tarfile.TarInfo("../../escaped"), b"x"), (tarfile.TarInfo("/escaped"), b"x")]
    (tmp_path / "deep").mkdir()
    archive = _tar(tmp_path / "deep" / "x.tar.gz", evil + _members(binary))
    before = sorted(tmp_path.rglob("*"))
    assert len(load_cifar_archive(archive).x_test) == ROWS
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar_archives, "_MOST_ARCHIVE", 1 << 20)
    archive = _tar(tmp_path / "x.tar.gz", [(tarfile.TarInfo("c/other"), bytes(4 << 20))])
    with pytest.raises(DataError, match="1 MiB"):
        load_cifar_archive(archive)


def test_a_batch_that_is_too_large_is_refused(
    pack: Pack, tmp_path: Path, binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack(binary, "x.tar.gz")
    monkeypatch.setattr(cifar_archives, "_MOST_FILE", 1000)
    for path in (archive, binary):
        with pytest.raises(DataError, match="31 million"):
            load_cifar_archive(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.9999])
def test_a_truncated_archive_is_named(pack: Pack, binary: Path, tmp_path: Path, share: float) -> None:
    archive = pack(binary, "cifar-10-binary.tar.gz")
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz") as error:
        load_cifar_archive(archive)
    assert error.value.cure


def test_a_flipped_byte_is_noticed(pack: Pack, binary: Path, tmp_path: Path) -> None:
    archive = pack(binary, "x.tar.gz")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(DataError):
        load_cifar_archive(archive)


@pytest.mark.parametrize("content", [b"no archive", gzip.compress(b"no archive", mtime=0), b"\x1f\x8b", b"PK\x03\x04"])
def test_what_is_no_archive_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x.tar.gz"):
        load_cifar_archive(path)


def test_missing_batches_are_named(pickled: Path) -> None:
    (pickled / "data_batch_4").unlink()
    (pickled / "test_batch").unlink()
    with pytest.raises(DataError, match="data_batch_4, test_batch"):
        load_cifar_archive(pickled)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "0 bytes"), (bytes(3072), "3,072 bytes"), (b"\x0a" + bytes(3072), "0 to 9")],
)
def test_a_binary_batch_that_cannot_be_is_named(binary: Path, content: bytes, words: str) -> None:
    (binary / "data_batch_3.bin").write_bytes(content)
    with pytest.raises(DataError, match=words) as error:
        load_cifar_archive(binary)
    assert "data_batch_3.bin" in error.value.message


@pytest.mark.parametrize("labels", [[10] * ROWS, [-1] * ROWS, [10**30] * ROWS, [-(10**30)] * ROWS, [1] * (ROWS - 1)])
def test_pickled_labels_that_cannot_be_are_named(pickled: Path, labels: list[int]) -> None:
    batch = {b"labels": labels, b"data": np.zeros((ROWS, 3072), np.uint8)}
    (pickled / "test_batch").write_bytes(pickle.dumps(batch, 2))
    with pytest.raises(DataError, match="test_batch"):
        load_cifar_archive(pickled)


def test_an_image_size_resizes(binary: Path) -> None:
    assert load_data(str(binary), image_size=16).x_train.shape == (5 * ROWS, 16, 16, 3)


def test_equal_images_of_an_archive_are_on_one_side_of_a_split(
    pickled: Path, pack: Callable[[Path, str], Path]
) -> None:
    (pickled / "data_batch_2").write_bytes((pickled / "data_batch_1").read_bytes())
    (pickled / "test_batch").write_bytes((pickled / "data_batch_3").read_bytes())
    data = load_data(str(pack(pickled, "cifar-10-python.tar.gz")))
    groups, found, _ = find_duplicates(data)
    assert found == Duplicates(train=40, groups=20, test_in_train=20)
    parts = split(data, validation=0.2, seed=0, groups=groups)
    assert len(parts.validation_index) == 20
    held = {image.tobytes() for image in data.x_train[parts.validation_index]}
    assert not any(image.tobytes() in held for image in data.x_train[parts.train_index])

from __future__ import annotations

from pathlib import Path

import pytest

from resnet_search.training.datasets import locate
from resnet_search.training.datasets.locate import Copy, cifar10_in, find_cifar10, tfds_configs, tfds_prepared


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def prepare(folder: Path) -> Path:
    """What TFDS leaves in a version's folder, as far as is looked at."""
    _touch(folder / "dataset_info.json")
    _touch(folder / "features.json")
    return folder


def test_nothing_is_found_in_an_empty_home(tmp_path: Path) -> None:
    copies, tried = find_cifar10(tmp_path / "missing")
    assert copies == []
    assert all(line.endswith("absent") for line in tried)
    for word in ("missing", "tensorflow_datasets", "Keras", "torchvision"):
        assert any(word in line for line in tried)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("~/.keras/datasets/cifar-10-batches-py/data_batch_1", "folder"),
        ("~/.keras/datasets/cifar-10-batches-py-target/cifar-10-batches-py/data_batch_1", "folder"),
        ("~/.keras/datasets/cifar-10-batches-py.tar.gz", "archive"),
        ("~/.keras/datasets/cifar-10-batches-py-target_archive", "archive"),
        ("data/cifar-10-batches-py/data_batch_1", "folder"),
        ("data/cifar-10-python.tar.gz", "archive"),
        ("cifar-10-binary.tar.gz", "archive"),
        ("~/data/cifar-10-batches-bin/data_batch_1.bin", "folder"),
    ],
)
def test_the_usual_places_are_looked_at(place: str, kind: str) -> None:
    file = _touch(Path(place).expanduser())
    (copy,), tried = find_cifar10(None)
    assert copy == Copy(kind, (file if kind == "archive" else file.parent).absolute())
    assert sum("found" in line for line in tried) >= 1


@pytest.mark.parametrize("variable", ["KERAS_HOME", "TFDS_DATA_DIR"])
def test_the_variables_of_keras_and_tfds_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path))
    _touch(tmp_path / "datasets" / "cifar-10-python.tar.gz")
    prepare(tmp_path / "cifar10" / "3.0.2")
    (copy,), _ = find_cifar10(None)
    assert copy.kind == ("archive" if variable == "KERAS_HOME" else "tfds")


def test_tensorflow_datasets_come_first_and_the_folder_named_before_the_caches(tmp_path: Path) -> None:
    home = Path("~").expanduser()
    _touch(home / ".keras" / "datasets" / "cifar-10-python.tar.gz")
    prepare(home / "tensorflow_datasets" / "cifar10" / "3.0.2")
    _touch(tmp_path / "cifar-10-binary.tar.gz")
    prepare(tmp_path / "cifar10" / "3.0.2")
    kinds = [(copy.kind, copy.path.is_relative_to(tmp_path)) for copy in find_cifar10(tmp_path)[0]]
    assert kinds[:3] == [("tfds", True), ("tfds", False), ("archive", True)]


@pytest.mark.parametrize("name", ["cifar-10-binary.tar.gz", "anything.tgz"])
def test_data_dir_may_be_an_archive_itself(tmp_path: Path, name: str) -> None:
    archive = _touch(tmp_path / name)
    assert find_cifar10(archive)[0] == [Copy("archive", archive)]


def test_an_unpacked_folder_is_preferred_to_its_archive(tmp_path: Path) -> None:
    _touch(tmp_path / "cifar-10-python.tar.gz")
    _touch(tmp_path / "cifar-10-batches-bin" / "data_batch_1.bin")
    assert cifar10_in(tmp_path) == Copy("folder", tmp_path / "cifar-10-batches-bin")


def test_the_newest_finished_version_is_taken(tmp_path: Path) -> None:
    for version in ("3.0.2", "3.0.10"):
        prepare(tmp_path / version)
    (tmp_path / "4.0.0").mkdir()
    prepare(tmp_path / "incomplete.AB12_5.0.0")
    assert tfds_prepared(tmp_path) == tmp_path / "3.0.10"


def test_configurations_are_listed(tmp_path: Path) -> None:
    for name in ("b", "a"):
        prepare(tmp_path / name / "1.0.0")
    assert tfds_configs(tmp_path) == ["a", "b"]


def test_what_may_not_be_looked_at_counts_as_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "is_file", refuse)
    monkeypatch.setattr(Path, "is_dir", refuse)
    assert cifar10_in(tmp_path) is None
    assert not locate.is_folder(tmp_path)
    assert find_cifar10(tmp_path)[0] == []

"""Small CIFAR-10 look-alikes, and the full-size one where a machine has it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from resnet_search.training.datasets.locate import PICKLED

ROWS = 20  # images in each of the six batches


@pytest.fixture(autouse=True)
def _no_caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home and an empty current folder: what lies on this machine decides no test."""
    home = tmp_path_factory.mktemp("home")
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(home))
    for variable in ("KERAS_HOME", "TFDS_DATA_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(home)


@pytest.fixture(scope="session")
def batches() -> dict[str, tuple[np.ndarray, list[int]]]:
    """Six small batches: rows (20, 3072) of planes, and labels."""
    rng = np.random.default_rng(0)
    return {
        name: (rng.integers(0, 256, (ROWS, 3072), np.uint8), [(i + shift) % 10 for i in range(ROWS)])
        for shift, name in enumerate(PICKLED)
    }


@pytest.fixture
def pickled(tmp_path: Path, batches: dict[str, tuple[np.ndarray, list[int]]]) -> Path:
    """An unpacked folder of the pickled layout."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name, (rows, labels) in batches.items():
        batch = {b"batch_label": name.encode(), b"labels": labels, b"data": rows, b"filenames": [b"a.png"] * ROWS}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "batches.meta").write_bytes(b"never read")
    return folder


@pytest.fixture
def binary(tmp_path: Path, batches: dict[str, tuple[np.ndarray, list[int]]]) -> Path:
    """An unpacked folder of the binary layout."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name, (rows, labels) in batches.items():
        np.concatenate([np.array(labels, np.uint8)[:, None], rows], 1).tofile(folder / f"{name}.bin")
    return folder


@pytest.fixture
def pack(tmp_path: Path) -> Callable[[Path, str], Path]:
    """Packs a folder into a compressed tar archive of a name."""

    def packed(folder: Path, name: str) -> Path:
        with tarfile.open(tmp_path / name, "w:gz", compresslevel=1) as tar:
            tar.add(folder, folder.name)
        return tmp_path / name

    return packed


@pytest.fixture(scope="session")
def full_cifar10(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the full-size CIFAR-10 in every form, laid out unless RESNET_SEARCH_TEST_CIFAR10 names one."""
    given = os.environ.get("RESNET_SEARCH_TEST_CIFAR10")
    if given:
        yield Path(given)
        return
    folder = tmp_path_factory.mktemp("cifar10")
    script = shared / "data" / "cifar10.py"
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True, timeout=1800)
    yield folder

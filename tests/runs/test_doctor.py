"""What the doctor finds, on machines that are well and on others."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from resnet_search.errors import TrainingError
from resnet_search.runs import doctor
from resnet_search.runs.doctor import OK, PROBLEM, WARNING
from resnet_search.workers import backend, devices, nvidia, probe
from resnet_search.workers.probe import Fault
from tests.workers.nvml import Device, fake

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose backend starts and has no GPU."""
    monkeypatch.setattr(backend, "keras_backend", lambda: "tensorflow")
    monkeypatch.setattr(devices, "backend_gpus", lambda _: [])
    monkeypatch.setattr(devices, "nvidia_gpus", list)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_everything_that_is_wrong_has_a_cure(tmp_path: Path) -> None:
    checks = doctor.examine(tmp_path / "runs")
    names = [check.name for check in checks]
    for name in ("Python", "keras", "tensorflow", "Processors", "Memory", "Backend", "GPU", "CIFAR-10", "Runs", "Disk"):
        assert name in names
    assert all(check.cure for check in checks if check.status != OK)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("version", "status"), [((3, 10), PROBLEM), ((3, 11), OK), ((3, 13), OK), ((3, 14), PROBLEM)])
def test_python(version: tuple[int, int], status: str) -> None:
    check = doctor.check_python(version)
    assert check.status == status
    assert ("3.11 to 3.13" in check.cure) is (status == PROBLEM)


def test_a_patch_of_the_newest_python_is_that_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=(*doctor.NEWEST, 9, "final", 0), executable=""))
    assert doctor.examine(tmp_path)[0].status == OK


def test_python_versions_are_those_of_the_package() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (low, high) = doctor.OLDEST, doctor.NEWEST
    assert f'requires-python = ">={low[0]}.{low[1]},<{high[0]}.{high[1] + 1}"' in text


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "keras":
            raise metadata.PackageNotFoundError
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    found = {check.name: check.status for check in doctor.check_packages()}
    assert found == {name: PROBLEM if name == "keras" else OK for name in doctor.PACKAGES}


def test_on_jax_alone_what_is_missed_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"tensorflow", "tensorflow-datasets"}

    def version(name: str) -> str:
        if name in absent:
            raise metadata.PackageNotFoundError
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    found = {check.name: check for check in doctor.check_packages()}
    assert {name for name, check in found.items() if check.status == WARNING} == absent
    assert "SavedModel" in found["tensorflow"].text
    assert all(found[name].cure.endswith(f"pip install {name}") for name in absent)
    absent.add("jax")
    found = {check.name: check for check in doctor.check_packages()}
    assert {name for name, check in found.items() if check.status == PROBLEM} == absent
    absent.difference_update({"tensorflow", "tensorflow-datasets"})
    assert {check.status for check in doctor.check_packages()} == {OK}, "TensorFlow alone is enough"


@pytest.mark.parametrize(("free", "status"), [(1e9, WARNING), (2.5e9, WARNING), (3e9, OK), (3.5e9, OK), (1e11, OK)])
def test_memory(free: float, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free, total=2e11))
    check = doctor.check_memory()
    assert check.status == status
    assert f"{free / 1e9:.1f} GB of 200.0 GB" in check.text


def test_a_gpu_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "nvidia_gpus", lambda: ["NVIDIA Toy"])
    _, gpu = doctor.check_devices()
    assert gpu.status == PROBLEM
    assert "NVIDIA Toy" in gpu.text
    assert "resnet-search[gpu]" in gpu.cure


@pytest.fixture
def h200(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    """A GPU that computes; what its driver says of it, to be changed."""
    found = [Device("GPU-a")]
    monkeypatch.setitem(sys.modules, "pynvml", fake(found))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "backend_gpus", lambda _: ["NVIDIA H200"])
    monkeypatch.setattr(probe, "gpu_fault", lambda _: None)
    monkeypatch.setattr(nvidia, "mps_serves", lambda: False)
    return found


def gpu_checks() -> dict[str, doctor.Check]:
    return {check.name: check for check in doctor.check_devices()}


def test_a_gpu_that_can(h200: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    found = gpu_checks()
    assert list(found) == ["Backend", "GPU", "Driver", "CUDA", "Capability", "GPU memory", "MPS", "MIG"]
    assert {check.status for check in found.values()} == {OK}
    assert found["GPU"].text == "NVIDIA H200"
    assert found["Driver"].text == "570.124.06"
    assert found["Capability"].text == "9.0, bfloat16"
    assert found["GPU memory"].text == "107.4 of 150.3 GB free"
    assert (found["MPS"].text.startswith("off"), found["MIG"].text) == (True, "off")
    monkeypatch.setattr(nvidia, "mps_serves", lambda: True)
    assert gpu_checks()["MPS"].text == "serves"
    h200[0].capability, h200[0].free = (7, 5), 10**9
    found = gpu_checks()
    assert found["Capability"].text == "7.5, float32 alone"
    assert found["GPU memory"].status == WARNING
    h200[0].parts = [Device("MIG-1", memory=None)]
    found = gpu_checks()
    assert found["MIG"].text == "MIG-1"
    h200.append(Device("GPU-b"))
    found = gpu_checks()
    assert (found["MIG"].text, found["GPU memory"].status) == ("MIG-1", WARNING)
    assert (found["GPU memory"].status, "nvidia-ml-py" in found["GPU memory"].cure) == (WARNING, True)


def test_a_gpu_that_does_not_compute(h200: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "gpu_fault", lambda _: Fault("it fails", "Replace it."))
    gpu = gpu_checks()["GPU"]
    assert (gpu.status, gpu.text, gpu.cure) == (PROBLEM, "NVIDIA H200, but it fails", "Replace it.")


def test_cuda_libraries_are_those_of_pip(h200: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"nvidia-cudnn-cu12": "9.10.2", "nvidia-cuda-runtime-cu12": "12.9.79"}

    def version(name: str) -> str:
        try:
            return there[name]
        except KeyError:
            raise metadata.PackageNotFoundError(name) from None

    monkeypatch.setattr(metadata, "version", version)
    assert gpu_checks()["CUDA"].text == "nvidia-cuda-runtime-cu12 12.9.79, nvidia-cudnn-cu12 9.10.2"
    there["nvidia-cudnn-cu13"] = "9.12.0"  # Of two releases, one is named.
    both = gpu_checks()["CUDA"].text
    assert both.count("nvidia-cudnn") == 1
    del there["nvidia-cudnn-cu12"], there["nvidia-cudnn-cu13"]
    there["nvidia-cudnn"] = "9.13.0"
    assert "nvidia-cudnn 9.13.0" in gpu_checks()["CUDA"].text
    there.clear()
    assert "system" in gpu_checks()["CUDA"].text


def test_without_a_gpu_trials_train_on_the_processor() -> None:
    started, gpu = doctor.check_devices()
    assert (started.status, started.text, gpu.status) == (OK, "tensorflow", OK)
    assert "processor" in gpu.text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ImportError("libcudart.so: cannot open\nand much more"), "ImportError: libcudart.so: cannot open"),
        (RuntimeError(" "), "RuntimeError: no message"),
        (TrainingError("KERAS_BACKEND: got 'x'", "Choose another."), "KERAS_BACKEND: got 'x'"),
    ],
)
def test_a_backend_that_does_not_start(error: Exception, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> list[str]:
        raise error

    monkeypatch.setattr(devices, "backend_gpus", broken)
    (check,) = doctor.check_devices()
    assert (check.name, check.status) == ("Backend", PROBLEM)
    assert check.text.endswith(text)
    assert "\n" not in check.text
    assert check.cure


def test_where_cifar10_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    absent = doctor.check_data(None)
    assert absent.status == WARNING
    assert "downloaded" in absent.text
    (tmp_path / "cifar-10-python.tar.gz").touch()
    found = doctor.check_data(tmp_path)
    assert found.status == OK
    assert "cifar-10-python.tar.gz" in found.text


@pytest.mark.parametrize(
    ("free", "status"),
    [
        (1e8, PROBLEM), (4e8, PROBLEM), (5e8, WARNING), (6e8, WARNING),
        (4e9, WARNING), (5e9, OK), (6e9, OK), (1e11, OK),
    ],
)  # fmt: skip
def test_disk(free: float, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def disk_usage(path: Path) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(free=free)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    assert doctor.check_disk(tmp_path / "not" / "there").status == status
    assert asked == [tmp_path]


def test_what_killed_starts_have_left(tmp_path: Path) -> None:
    assert list(doctor.check_leftovers(tmp_path / "runs")) == []
    left = tmp_path / ".data" / ".partial-77-abc"
    left.mkdir(parents=True)
    with (left / "x_train.npy").open("wb") as file:
        file.truncate(300_000_000)
    (tmp_path / ".partial-78-run").mkdir()
    with (tmp_path / ".partial-79-file").open("wb") as file:
        file.truncate(400_000_000)
    (tmp_path / ".partial-80-link").symlink_to(left / "x_train.npy")
    (tmp_path / "run").mkdir()
    (check,) = doctor.check_leftovers(tmp_path)
    assert check.status == WARNING
    assert check.text.startswith("0.7 GB in ")
    assert ".partial-77-abc" in check.text
    assert ".partial-78-run" in check.text


def test_folders_that_no_run_can_be_made_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.not_writable(tmp_path / "not" / "there") == ""
    (tmp_path / "file").touch()
    assert doctor.check_writing(tmp_path / "file" / "runs").status == PROBLEM
    assert "no folder" in doctor.not_writable(tmp_path / "file")
    for missing in (os.W_OK, os.X_OK):
        monkeypatch.setattr(os, "access", lambda _, mode, missing=missing: not mode & missing)
        assert "may not be written" in doctor.not_writable(tmp_path)

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from resnet_search.files import append_line
from resnet_search.runs import energy
from resnet_search.runs.energy import ENERGY, Meter, used
from resnet_search.runs.folder import RunFolder


class Counter:
    """Microjoules, as they are set."""

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def __call__(self) -> int:
        return self.value


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


def test_counts_from_its_making(folder):
    counter = Counter(5_000_000)
    meter = Meter(folder, {"GPU 0": (counter, 2**63)})
    counter.value = 12_500_000
    meter({"event": "epoch"}, None)
    assert used(folder) == {"GPU 0": 7.5}


def test_counters_that_begin_anew_go_on(folder):
    counter = Counter(900)
    meter = Meter(folder, {"a": (counter, 1000 * 10**6)})
    for value in (999 * 10**6, 1 * 10**6, 2 * 10**6):
        counter.value = value
        meter.note()
    assert used(folder)["a"] == pytest.approx(1002, abs=0.1)


def test_it_notes_seldom_and_at_the_end(folder):
    meter = Meter(folder, {"a": (Counter(), 100)})
    for event in ("created", "epoch", "epoch", "finished"):
        meter({"event": event}, None)
    assert len((folder.path / ENERGY).read_text().splitlines()) == 2


def test_without_counters_there_is_no_file(folder):
    Meter(folder, {})({"event": "finished"}, None)
    assert not (folder.path / ENERGY).exists()


def test_a_counter_that_fails_does_not_stop_a_search(folder):
    def broken() -> int:
        raise OSError

    counter = Counter()
    meter = Meter(folder, {"a": (counter, 100)})
    meter._counters = {"a": (broken, 100)}
    meter({"event": "finished"}, None)
    assert used(folder) == {}


def test_sessions_add_up(folder):
    for session, joules in ((1.0, 5.0), (1.0, 7.0), (2.0, 10.0)):
        append_line(folder.path / ENERGY, {"session": session, "time": 0.0, "joules": {"a": joules}})
    assert used(folder) == {"a": 17.0}


@pytest.mark.parametrize("line", ["not JSON", "[]", '{"session": "x", "joules": {}}', '{"session": 1, "joules": 3}'])
def test_a_damaged_file_is_as_none(folder, line):
    (folder.path / ENERGY).write_text(line + "\n")
    assert used(folder) == {}


def test_processors_are_read_from_powercap(tmp_path, monkeypatch):
    for name, label in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core"), ("intel-rapl:1", "psys")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(label + "\n")
        (tmp_path / name / "energy_uj").write_text("1234\n")
        (tmp_path / name / "max_energy_range_uj").write_text("262143328850\n")
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    found = dict(energy._processors())
    assert found.keys() == {"processor package-0"}
    counter, limit = found["processor package-0"]
    assert (counter(), limit) == (1234, 262143328851)


def test_gpus_are_read_from_their_driver(folder, monkeypatch):
    """The counter of NVML is in millijoules since the driver was loaded."""
    millijoules = [5000, 7000]
    nvml = SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: millijoules[handle],
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    meter = Meter(folder, dict(energy._gpus()))
    millijoules[1] += 2500
    meter.note()
    assert used(folder) == {"GPU 0": 0.0, "GPU 1": 2.5}


def test_a_gpu_without_such_a_counter_is_as_none(monkeypatch):
    def refused(handle: int) -> int:
        raise RuntimeError("not supported")

    nvml = SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=refused,
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert dict(energy._gpus()) == {}

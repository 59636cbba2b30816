from __future__ import annotations

import sys

import pytest

from resnet_search.files import append_line
from resnet_search.runs import energy
from resnet_search.runs.energy import ENERGY, Meter, used
from resnet_search.runs.folder import RunFolder
from tests.faults.table import fault
from tests.workers.nvml import Device, fake


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
    gpus = [Device("GPU-a", millijoules=5000), Device("GPU-b", millijoules=7000)]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", fake(gpus))
    meter = Meter(folder, dict(energy._gpus()))
    gpus[1].millijoules += 2500
    meter.note()
    assert used(folder) == {"GPU 0": 0.0, "GPU 1": 2.5}
    gpus[1].millijoules = 1000  # The driver was loaded again.
    meter.note()
    gpus[1].millijoules = 1500
    meter.note()
    assert used(folder) == {"GPU 0": 0.0, "GPU 1": 3.0}


@fault(
    "numbers",
    "Other users' GPUs of a shared machine use energy, or a GPU has no counter",
    here="only visible GPUs with a counter are read",
)
@pytest.mark.parametrize(
    ("visible", "counted"),
    [(None, ["GPU 1", "GPU 2"]), ("2", ["GPU 2"]), ("GPU-b", ["GPU 1"]), ("", []), ("GPU-a,GPU-c", ["GPU 2"])],
)
def test_only_visible_gpus_with_a_counter_are_read(monkeypatch, visible, counted):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    gpus = [Device("GPU-a", millijoules=None), Device("GPU-b"), Device("GPU-c")]
    monkeypatch.setitem(sys.modules, "pynvml", fake(gpus))
    assert [name for name, _ in energy._gpus()] == counted
    gpus[2].lost = True
    assert [name for name, _ in energy._gpus()] == [name for name in counted if name != "GPU 2"]


def test_a_part_of_a_gpu_has_no_counter_of_its_own(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", fake([Device("GPU-a", parts=[Device("MIG-1")])]))
    assert list(energy._gpus()) == []


def test_a_search_on_the_processor_reads_no_gpu(folder, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", fake([Device("GPU-a")]))
    monkeypatch.setattr(energy, "_processors", lambda: iter(()))
    assert Meter(folder, gpus=False)._counters == {}
    assert list(Meter(folder)._counters) == ["GPU 0"]

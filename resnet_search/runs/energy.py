"""What the hardware's own counters say a search has used, in joules; nothing where it has none that may be read.

Intel's RAPL (also of AMD processors) counts each processor package, and NVIDIA's driver each GPU; visible GPUs are read
if the search trains on GPUs. Both counts include everything else that the hardware does. Since 2020 Linux lets only the
administrator read RAPL, unless configured otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from resnet_search.files import append_line, read_lines
from resnet_search.runs.folder import RunFolder
from resnet_search.workers.nvidia import nvml, visible_gpus

ENERGY = "energy.jsonl"
POWERCAP = Path("/sys/class/powercap")
# RAPL's counter wraps around after some 60 s of 1 kW or an hour of 20 W.
_INTERVAL = 30.0


Counter = tuple[Callable[[], int], int]  # reads microjoules; the count at which it wraps around, 0 for never


class Meter:
    """Counts from its making on; an observer of a search, which has it look at the counters and note the sums.

    `counters`: by name, those of this machine by default, with its GPUs only if `gpus`.
    """

    def __init__(self, folder: RunFolder, counters: dict[str, Counter] | None = None, *, gpus: bool = True) -> None:
        self._path, self._session = folder.path / ENERGY, round(time.time(), 3)
        self._counters = dict(_counters(gpus=gpus)) if counters is None else counters
        self._last = {name: counter() for name, (counter, _) in self._counters.items()}
        self._sums = dict.fromkeys(self._last, 0)
        self._next = 0.0

    def __call__(self, event: dict[str, Any], view: Any) -> None:
        del view
        ends = event["event"] in {"finished", "stopped"}
        if self._counters and (ends or time.monotonic() > self._next):
            self._next = time.monotonic() + _INTERVAL
            self.note()

    def note(self) -> None:
        """Put what was used since the meter was made into the run's folder, if the counters can still be read."""
        with suppress(OSError, ValueError):
            for name, (counter, limit) in self._counters.items():
                now = counter()
                spent = now - self._last[name]
                # A GPU's counter does not wrap around; it falls when its driver is loaded again.
                self._sums[name] += spent % limit if limit else max(0, spent)
                self._last[name] = now
            joules = {name: round(value / 1e6, 1) for name, value in self._sums.items()}
            append_line(self._path, {"session": self._session, "time": round(time.time(), 3), "joules": joules})


def used(folder: RunFolder) -> dict[str, float]:
    """Joules by counter over all sessions that were measured; empty where none was."""
    last: dict[float, dict[str, float]] = {}
    try:
        for line in read_lines(folder.path / ENERGY):
            last[float(line["session"])] = {str(name): float(value) for name, value in line["joules"].items()}
    except (OSError, LookupError, TypeError, ValueError, AttributeError):
        return {}
    sums: dict[str, float] = {}
    for joules in last.values():
        for name, value in joules.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def _counters(*, gpus: bool) -> Iterator[tuple[str, Counter]]:
    yield from _processors()
    if gpus:
        yield from _gpus()


def _processors() -> Iterator[tuple[str, Counter]]:
    # Those with a second colon are parts of these.
    for folder in sorted(POWERCAP.glob("intel-rapl:*")):
        with suppress(OSError, ValueError):
            name = (folder / "name").read_text(encoding="ascii").strip()
            if folder.name.count(":") == 1 and name.startswith("package"):
                limit = int((folder / "max_energy_range_uj").read_text(encoding="ascii"))
                counter = _reader(folder / "energy_uj")
                counter()
                yield f"processor {name}", (counter, limit + 1)


def _reader(path: Path) -> Callable[[], int]:
    return lambda: int(path.read_text(encoding="ascii"))


def _gpus() -> Iterator[tuple[str, Counter]]:
    library = nvml()
    if library is None:
        return
    # The counter of a divided GPU is that of all its parts, which others may use.
    for index in sorted({gpu.index for gpu in visible_gpus() if not gpu.mig and gpu.index >= 0}):
        with suppress(library.NVMLError, OSError):
            counter = _gpu_reader(library, library.nvmlDeviceGetHandleByIndex(index))
            counter()
            yield f"GPU {index}", (counter, 0)


def _gpu_reader(library: Any, handle: Any) -> Callable[[], int]:
    def read() -> int:
        try:
            return int(library.nvmlDeviceGetTotalEnergyConsumption(handle)) * 1000  # of millijoules
        except library.NVMLError as error:
            raise OSError(str(error)) from error

    return read

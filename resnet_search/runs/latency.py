"""How long exported networks take, as measured, and kept in their run's folder: by machine, format and trial."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from resnet_search.files import write_json
from resnet_search.reading import read_json
from resnet_search.runs.folder import RunFolder

FILE = "latency.json"
CPU = "cpu"
SAVED_MODEL = "saved_model"
_MOST = 1e12  # of any number here


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Calls of one network with `batch` images each, on `device`: "cpu", or the name of a GPU.

    `p50`, `p99`: percentiles of the `calls`, milliseconds. `throughput`: images a second over all calls. `threads`:
    of the processor.
    """

    device: str
    batch: int
    p50: float
    p99: float
    throughput: float
    calls: int
    threads: int


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """Return the processor and its usable cores: times on one machine say nothing about another."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return f"{processors()} of {model}"


def alone(latencies: Sequence[Latency]) -> float | None:
    """What `--max-latency` and the front are about: the median of one image on the processor, milliseconds."""
    return next((one.p50 for one in latencies if (one.device, one.batch) == (CPU, 1)), None)


def read_latencies(folder: RunFolder, form: str = SAVED_MODEL) -> dict[str, tuple[Latency, ...]]:
    """Return what was measured of a format on this machine, by trial; nothing of a damaged file: it can be made again.

    Trials as SavedModels are beside the names of the other formats, as in files from before there were any.
    """
    here = _read(folder).get(machine(), {})
    trials = here if form == SAVED_MODEL else here.get(form, {})
    return {trial: _latencies(found) for trial, found in _dict(trials).items() if _latencies(found)}


def keep_latency(folder: RunFolder, trial: str, latencies: Sequence[Latency], form: str = SAVED_MODEL) -> None:
    """Keep what was measured of a trial in a format; nothing happens where that cannot be written."""
    content = _read(folder)
    here = content.setdefault(machine(), {})
    trials = here if form == SAVED_MODEL else here.setdefault(form, {})
    trials[trial] = [asdict(one) for one in latencies]
    with suppress(OSError):
        write_json(folder.path / FILE, content)


def _read(folder: RunFolder) -> dict[str, dict[str, Any]]:
    try:
        content = read_json(folder.path / FILE)
    except (OSError, ValueError):
        return {}
    return {name: trials for name, trials in _dict(content).items() if isinstance(trials, dict)}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _latencies(found: Any) -> tuple[Latency, ...]:
    """Return nothing if a value cannot come from this program."""
    try:
        latencies = tuple(Latency(**one) for one in found)
    except TypeError:
        return ()
    return latencies if all(map(_whole, latencies)) else ()


def _whole(one: Latency) -> bool:
    device, *numbers = astuple(one)
    return isinstance(device, str) and all(type(number) in (int, float) and 0 < number < _MOST for number in numbers)

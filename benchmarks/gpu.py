"""The first visit to a GPU: minutes of measurements, the most important first, that decide what to change.

    python -m benchmarks.gpu --out gpu.jsonl --minutes 9.5      # from a checkout; at most 555 s of parts
    python -m benchmarks.gpu --out gpu.jsonl --small            # on a processor, to try the script: 5 to 20 minutes
    python -m benchmarks.gpu --out gpu.jsonl train workers      # these parts only, whether they have a line or not
    python -m benchmarks.gpu --report gpu.jsonl

Needs no installation, network, images or TensorFlow. Each part of gpu_parts.py runs in a process of its own with a time
limit and appends one JSON line to `--out`: its state, and the rows that it measured until it ended. Repeat the command
to resume: a part that has a line of this backend and these GPUs is skipped, unless it failed or ran out of time, which
is repeated after the parts without a line. `--minutes`: a part whose limit does not fit into what is left is not
started.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu_parts import PARTS, LeftOut, Visit, end_mps, write_images
from resnet_search.files import append_line, read_lines

DONE, LEFT_OUT, FAILED, TIMEOUT = "done", "left out", "failed", "timeout"
ROWS = "rows.jsonl"
SLOWER = 20  # how much longer the limits are with --small, where a processor compiles
# Some parts measure in their own process beside their workers.
NOT_ALL_OF_A_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
LOG = 20  # last lines of a part's output that its line keeps if it did not end well


def command(name: str, scratch: Path, *, small: bool) -> list[str]:
    """Return the command that runs one part in a process."""
    return [sys.executable, "-m", "benchmarks.gpu", name, "--inside", str(scratch), *(["--small"] if small else [])]


def inside(name: str, scratch: Path, *, small: bool) -> None:
    """Run one part in this process; each row is on disk before the next is measured."""
    try:
        for row in PARTS[name].work(Visit(scratch, small)):
            append_line(scratch / ROWS, row)
    except LeftOut as reason:
        append_line(scratch / ROWS, {LEFT_OUT: str(reason)})


def run_part(name: str, scratch: Path, limit: float, *, small: bool) -> dict[str, Any]:
    """Run a part for `limit` seconds at most, and return its line."""
    begin, state = time.perf_counter(), DONE
    environment = {**os.environ, **NOT_ALL_OF_A_GPU, **PARTS[name].environment}
    with (scratch / "log").open("wb") as log:
        try:
            subprocess.run(
                command(name, scratch, small=small), stdout=log, stderr=log, env=environment, timeout=limit, check=True
            )
        except subprocess.TimeoutExpired:
            state = TIMEOUT
        except subprocess.CalledProcessError:
            state = FAILED
        finally:
            end_mps(scratch)
    rows = read_lines(scratch / ROWS) if (scratch / ROWS).exists() else []
    if state == DONE and all(LEFT_OUT in row for row in rows):
        state = LEFT_OUT
    output = [] if state in {DONE, LEFT_OUT} else (scratch / "log").read_text(errors="replace").splitlines()[-LOG:]
    return {"part": name, "state": state, "seconds": round(time.perf_counter() - begin, 1), "limit": limit,
            "rows": rows, "output": output}  # fmt: skip


def still_to_run(lines: Sequence[dict[str, Any]], machine: dict[str, Any]) -> list[str]:
    """Return the parts without a line of this machine, then those whose last line says that they did not end well."""
    states = {line["part"]: line["state"] for line in lines if line["machine"] == machine}
    return [name for name in PARTS if name not in states] + [
        name for name in PARTS if states.get(name) in {FAILED, TIMEOUT}
    ]


def visit(out: Path, names: Sequence[str], minutes: float, *, small: bool) -> None:
    """Run parts, `names` or all that are left, and append their lines."""
    from resnet_search.search.start import versions
    from resnet_search.workers.backend import keras_backend
    from resnet_search.workers.devices import backend_gpus

    end = time.monotonic() + 60 * minutes
    backend = keras_backend()
    machine = {"backend": backend, "gpus": backend_gpus(backend), "small": small}
    lines = read_lines(out) if out.exists() else []
    with tempfile.TemporaryDirectory(prefix="gpu-visit-") as folder:
        write_images(Path(folder) / "arrays", small=small)
        for name in names or still_to_run(lines, machine):
            limit = PARTS[name].limit * (SLOWER if small else 1)
            if time.monotonic() + limit > end:
                print(f"{name}: its {limit:g} s do not fit into the time that is left", flush=True)
                continue
            scratch = Path(tempfile.mkdtemp(dir=folder))
            line = {**run_part(name, scratch, limit, small=small), "machine": machine, "versions": versions()}
            append_line(out, {**line, "time": round(time.time())})
            print(summary(line), flush=True)


def summary(line: dict[str, Any]) -> str:
    """Return a part's line for people: its state, its rows, and the end of its output if it did not end well."""
    rows = ("  " + ", ".join(f"{key}: {_short(value)}" for key, value in row.items()) for row in line["rows"])
    head = f"{line['part']}: {line['state']} after {line['seconds']:g} s of {line['limit']:g}"
    return "\n".join([head, *rows, *(f"  | {text}" for text in line["output"])])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main(words: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--out", type=Path, default=Path("gpu.jsonl"))
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    unknown = [name for name in arguments.part if name not in PARTS]
    if unknown:
        parser.error(f"PART: got {unknown[0]!r}; allowed: {', '.join(PARTS)}")
    if arguments.inside:
        inside(arguments.part[0], arguments.inside, small=arguments.small)
    elif arguments.report:
        print("\n".join(map(summary, read_lines(arguments.report))))
    else:
        visit(arguments.out, arguments.part, arguments.minutes, small=arguments.small)


if __name__ == "__main__":
    main()

"""A run's folder: made whole, found by name, held by one driver at a time."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

from resnet_search.errors import RunError, UsageError
from resnet_search.files import write_json

FORMAT = 1
RUN_JSON = "run.json"
EVENTS = "events.jsonl"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder that holds a `run.json` of this program."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def events(self) -> Path:
        """The log that everything else follows from."""
        return self.path / EVENTS

    @property
    def worker_log(self) -> Path:
        """What the worker processes and their libraries print."""
        return self.path / "worker.log"

    def trial(self, trial: str) -> Path:
        """The folder of a trial, by its id of digits."""
        return self.path / f"trial_{trial}"

    def read(self) -> dict[str, Any]:
        """The content of run.json: what the run was started with."""
        path = self.path / RUN_JSON
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path}: cannot be read: {error}", "Restore the file from a copy; the trials are intact."
            ) from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            found = content.get("format") if isinstance(content, dict) else None
            raise RunError(
                f"{path}: got format {found!r}; allowed: {FORMAT}",
                "Open it with the version of resnet-search that wrote it.",
            )
        return content

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder; `RunError` if another driver does. The lock of a process that died is free."""
        with (self.path / "lock").open("a+", encoding="utf-8") as handle:
            if not _try_lock(handle):
                handle.seek(0)
                raise RunError(
                    f"{self.path}: is in use by {handle.read().strip() or 'another process'}",
                    "Wait for it to end, or stop it with Ctrl-C in its terminal.",
                )
            handle.seek(0)
            handle.truncate()
            handle.write(f"process {os.getpid()}")
            handle.flush()
            yield

    def is_locked(self) -> bool:
        """Whether a driver holds the folder now."""
        path = self.path / "lock"
        if not path.exists():
            return False
        try:
            with path.open("r+", encoding="utf-8") as handle:
                return not _try_lock(handle)
        except OSError:
            return False


def create_run(runs_dir: Path, name: str, content: dict[str, Any]) -> RunFolder:
    """Make a run's folder with its run.json, whole or not at all; `RunError` if the name is taken."""
    final = runs_dir / check_name(name)
    if final.exists():
        raise name_taken(runs_dir, name)
    partial = runs_dir / f".partial-{os.getpid()}-{name}"
    try:
        partial.mkdir(parents=True)
        write_json(partial / RUN_JSON, {"format": FORMAT, "name": name, **content})
        partial.replace(final)
    except OSError as error:
        raise RunError(
            f"--runs-dir: got {str(runs_dir)!r}, where no run can be made: {error.strerror or error}",
            "Choose a folder you can write to, with space left.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return RunFolder(final)


def name_taken(runs_dir: Path, name: str) -> RunError:
    """The error for a name that a run, or anything else, has."""
    return RunError(
        f"--name: got {name!r}, which exists in {runs_dir}",
        f"Choose another name, or continue it: resnet-search resume {name}",
    )


def check_name(name: str) -> str:
    """The name, if it can be that of a run."""
    if name == "latest" or not _NAME.fullmatch(name):
        raise UsageError(
            f"--name: got {name!r}; allowed: up to 100 letters, digits, '.', '_' and '-', "
            "the first a letter or digit, and not 'latest'"
        )
    return name


def default_name(space: str, runs_dir: Path) -> str:
    """A name for a new run, free in `runs_dir`: its space and the time."""
    name = f"{space[:60]}-{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}"
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(free for free in names if not (runs_dir / free).exists())


def find_run(ref: str, runs_dir: Path) -> RunFolder:
    """The run that `ref` means: `latest`, a name under `runs_dir`, or a path."""
    if ref == "latest":
        runs = list_runs(runs_dir)
        if not runs:
            raise RunError(f"no runs in {runs_dir}", "Start one: resnet-search run --space quickstart")
        return runs[-1]
    candidates = [Path(ref)] if os.sep in ref else [runs_dir / ref, Path(ref)]
    for path in candidates:
        try:
            if (path / RUN_JSON).is_file():
                return RunFolder(path)
        except (OSError, ValueError):
            break
    names = [run.name for run in list_runs(runs_dir)]
    raise RunError(
        f"RUN: got {ref!r}, which is no run in {runs_dir} and no path of one; "
        f"allowed: latest{''.join(f', {name}' for name in names[-8:])}",
        "resnet-search list shows all runs; --runs-dir names another folder of runs.",
    )


def list_runs(runs_dir: Path) -> list[RunFolder]:
    """The runs in a folder, the one started last at the end."""
    if not runs_dir.is_dir():
        return []
    paths = [path for path in runs_dir.iterdir() if not path.name.startswith(".") and (path / RUN_JSON).is_file()]
    return [RunFolder(path) for path in sorted(paths, key=_started)]


def _started(path: Path) -> tuple[str, str]:
    try:
        content = json.loads((path / RUN_JSON).read_text(encoding="utf-8"))
        return str(content.get("created", "")), path.name
    except (OSError, ValueError, AttributeError):
        return "", path.name


def _try_lock(handle: Any) -> bool:
    """Take the operating system's lock on an open file, which it gives back when the process ends."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

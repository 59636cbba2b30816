"""A run's folder: made whole, found by name, held by one driver at a time."""

from __future__ import annotations

import errno
import os
import re
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

from resnet_search.errors import NameTakenError, RunError, UsageError
from resnet_search.files import expand_home, replacing_folder, rewrite, write_json
from resnet_search.reading import SHORT, links_in, open_plain, read_json, read_text

# Of run.json. A change that this program could not read in an old run raises it, and comes with a way to migrate.
FORMAT = 1
RUN_JSON = "run.json"
EVENTS = "events.jsonl"
LOCK = "lock"
DATA_FOLDER = ".data"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ARRAYS = re.compile(r"[A-Za-z0-9-]{1,200}")
_TRIAL_FOLDER = re.compile(r"trial_([0-9]+)")
# A process that checks whether a run is locked locks it for a moment; a driver tries again for so many seconds.
_LOCK_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class Driver:
    """The process that holds a run, or held it last."""

    process: int
    host: str

    def __str__(self) -> str:
        return (
            f"process {self.process}" if self.host == socket.gethostname() else f"process {self.process} on {self.host}"
        )


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder that holds a `run.json` of this program."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def full_name(self) -> str:
        """The name, behind that of the search if it follows from one: live, live/final."""
        follows = (self.path.parent / RUN_JSON).is_file()
        return f"{self.path.parent.name}/{self.name}" if follows else self.name

    @property
    def word(self) -> str:
        """The run as a word of a command line: a renamed folder may have any character."""
        name = self.full_name
        return shlex.quote(str(self.path) if name.startswith(("-", "/")) else name)

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

    def arrays(self, content: dict[str, Any]) -> Path:
        """The images of a run, beside the runs and shared by those of the same images; `content` is run.json's."""
        name = content["data"]["arrays"]
        if not isinstance(name, str) or not _ARRAYS.fullmatch(name):
            raise RunError(
                f"{self.path / RUN_JSON}: is damaged: its images are in {name!r:.100}", "Restore the file from a copy."
            )
        # What follows from a search lies inside its folder.
        runs = self.path.parent.parent if content.get("of") else self.path.parent
        return runs / DATA_FOLDER / name

    def trial_folders(self) -> dict[str, Path]:
        """The folders of trials that are there, by id."""
        matches = ((_TRIAL_FOLDER.fullmatch(path.name), path) for path in sorted(self.path.iterdir()))
        return {match[1]: path for match, path in matches if match and path.is_dir()}

    def read(self) -> dict[str, Any]:
        """The content of run.json: what the run was started with."""
        path = self.path / RUN_JSON
        try:
            self.check_links()
            content = read_json(path)
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path}: cannot be read: {error}", "Restore the file from a copy; the trials are intact."
            ) from error
        if not isinstance(content, dict):
            raise RunError(f"{path}: got {content!r:.100}; allowed: an object", "Restore the file from a copy.")
        if content.get("format") != FORMAT:
            raise _other_format(path, content)
        return content

    def check_links(self) -> None:
        """Raise `RunError` if an entry of the folder is a link: what is written to it would go elsewhere."""
        links = links_in(self.path)
        if links:
            raise RunError(
                f"{links[0]}: is a link, which a run's folder must not have",
                f"Remove the link, or put what it leads to in its place: {links[0].readlink()}",
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder; `RunError` if another driver does. The lock of a process that died is free."""
        self.check_links()
        # Without a buffer, whose rest would fail once more, and without a name, when the file is closed.
        with open_plain(self.path / LOCK, SHORT, "ab+", buffering=0) as handle:
            patience = time.monotonic() + _LOCK_PATIENCE
            while not _try_lock(handle):
                if time.monotonic() > patience:
                    raise self.in_use()
                time.sleep(0.05)
            rewrite(handle, f"process {os.getpid()} on {socket.gethostname()}")
            try:
                yield
            finally:
                # Only a driver that dies leaves its name.
                with suppress(OSError):
                    rewrite(handle, "")

    def in_use(self) -> RunError:
        """The error for a folder that another driver holds."""
        return RunError(
            f"{self.path}: is in use by {self.last_driver() or 'another process'}",
            f"Wait for it to end, or stop it: resnet-search stop {self.word}",
        )

    def is_locked(self) -> bool:
        """Whether a driver holds the folder now."""
        try:
            with open_plain(self.path / LOCK, SHORT) as handle:
                # Shared, so that two who look do not take each other for a driver.
                return not _try_lock(handle, shared=True)
        except OSError:
            return False

    @contextmanager
    def sole(self, what: str) -> Iterator[bool]:
        """Whether this is the only process that does `what` for the run; it is until the block ends."""
        with open_plain(self.path / f"{what}.{LOCK}", SHORT, "ab") as handle:
            yield _try_lock(handle)

    def last_driver(self) -> Driver | None:
        """Who the lock names: its holder, or if it has none a driver that died."""
        try:
            found = _DRIVER.fullmatch(read_text(self.path / LOCK, SHORT, errors="replace"))
        except OSError:
            return None
        return Driver(int(found[1]), found[2]) if found else None


_DRIVER = re.compile(r"process ([0-9]{1,18}) on ([A-Za-z0-9._-]{1,255})")


def repair_words(folder: RunFolder) -> str:
    """What to do about a damaged file of a run."""
    return f"See what is left, and repair it: resnet-search doctor {folder.word} --repair"


def _other_format(path: Path, content: dict[str, Any]) -> RunError:
    found, versions = content.get("format"), content.get("versions")
    if isinstance(found, int) and found > FORMAT:
        cure = "A newer resnet-search wrote it: pip install --upgrade resnet-search"
    else:
        writer = versions.get("resnet-search") if isinstance(versions, dict) else None
        cure = f"Open it with the version of resnet-search that wrote it{f', {writer}' if writer else ''}."
    return RunError(f"{path}: got format {found!r:.100}; allowed: {FORMAT}", cure)


def create_run(runs_dir: Path, name: str, content: dict[str, Any]) -> RunFolder:
    """Make a run's folder with its run.json, whole or not at all; `RunError` if the name is taken."""
    final = runs_dir / check_name(name)
    if final.exists():
        raise name_taken(runs_dir, name)
    try:
        with replacing_folder(final) as partial:
            write_json(partial / RUN_JSON, {"format": FORMAT, "name": name, **content})
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST} and final.exists():
            raise name_taken(runs_dir, name) from error
        raise RunError(
            f"--runs-dir: got {str(runs_dir)!r}, where no run can be made: {error.strerror or error}",
            "Choose a folder you can write to, with space left.",
        ) from error
    return RunFolder(final)


def name_taken(runs_dir: Path, name: str) -> NameTakenError:
    """The error for such a name."""
    return NameTakenError(
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
    """The run that `ref` means: `latest`, a name under `runs_dir` as `night` or `night/final`, or a path."""
    if ref == "latest":
        runs = list_runs(runs_dir)
        if not runs:
            raise RunError(f"no runs in {runs_dir}", "Start one: resnet-search run --space quickstart")
        return runs[-1]
    candidates = [runs_dir / ref, expand_home(ref)]
    for path in reversed(candidates) if os.sep in ref else candidates:
        with suppress(OSError, ValueError):
            if (path / RUN_JSON).is_file():
                return RunFolder(path)
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
        content = read_json(path / RUN_JSON)
        return str(content.get("created", "")), path.name
    except (OSError, ValueError, AttributeError):
        return "", path.name


def _try_lock(handle: Any, *, shared: bool = False) -> bool:
    """Take the operating system's lock on an open file, which it gives back when the process ends."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

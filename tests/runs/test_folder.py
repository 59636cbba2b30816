"""A run's folder: made whole, found by name, held by one driver at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import resource
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from resnet_search.errors import NameTakenError, RunError, UsageError
from resnet_search.runs import folder
from resnet_search.runs.folder import (
    FORMAT,
    Driver,
    RunFolder,
    create_run,
    default_name,
    find_run,
    list_runs,
    repair_words,
)


def test_a_run_is_found_by_name_path_and_latest(tmp_path):
    one = create_run(tmp_path, "one", {"created": "2026-01-01T00:00:00"})
    two = create_run(tmp_path, "two", {"created": "2026-01-03T00:00:00"})
    middle = create_run(tmp_path, "alone", {"created": "2026-01-02T00:00:00"})
    assert find_run("one", tmp_path) == one
    assert find_run(str(two.path), tmp_path / "elsewhere").path == two.path
    assert find_run("latest", tmp_path) == two
    final = create_run(one.path, "final", {})
    assert find_run("one/final", tmp_path) == final
    assert (one.full_name, final.full_name, final.word) == ("one", "one/final", "one/final")
    assert list_runs(tmp_path) == [one, middle, two]
    assert one.read() == {"format": FORMAT, "name": "one", "created": "2026-01-01T00:00:00"}


def test_a_path_is_one_before_it_is_looked_up_in_the_folder_of_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    inner = create_run(create_run(runs, "one", {}).path, "final", {})
    assert find_run("one/final", runs).path == inner.path
    outer = create_run(tmp_path / "one", "final", {})
    assert find_run("one/final", runs).path.samefile(outer.path)
    assert find_run("./one/final", runs).path.samefile(outer.path)
    assert find_run("runs/one/final", runs).path.samefile(inner.path)
    monkeypatch.chdir(runs / "one")
    assert RunFolder(Path("final")).word == "final"


@pytest.mark.parametrize("ref", ["three", "../x", "a\0b", "", "one/trial_0000", "x" * 5000])
def test_an_unknown_run_names_those_there_are(tmp_path, ref):
    create_run(tmp_path, "one", {})
    with pytest.raises(RunError, match="one"):
        find_run(ref, tmp_path)


def test_the_last_runs_are_named(tmp_path):
    for number in range(10):
        create_run(tmp_path, f"run-{number}", {"created": f"2026-01-0{number}"})
    with pytest.raises(RunError, match=r"run-2.*run-9") as raised:
        find_run("other", tmp_path)
    assert "run-1" not in str(raised.value)


def test_a_place_that_cannot_be_looked_at_hides_no_other(tmp_path, monkeypatch):
    run = create_run(tmp_path, "one", {})
    is_file = Path.is_file

    def look(path: Path) -> bool:
        if "closed" in path.parts:
            raise PermissionError
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", look)
    monkeypatch.chdir(tmp_path)
    assert find_run("one", tmp_path / "closed").path.samefile(run.path)


def test_runs_are_listed_by_their_start_and_those_that_do_not_say_it_first(tmp_path):
    for name, created in (("b", 2), ("c", 1), ("a", 2)):
        create_run(tmp_path, name, {"created": f"2026-01-0{created}"})
    for name, content in (("list", "[]"), ("damaged", "{"), (".hidden", "{}"), (".partial-1-x", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(content)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert [run.name for run in list_runs(tmp_path)] == ["damaged", "list", "c", "a", "b"]
    assert list_runs(tmp_path / "file") == []


def test_no_runs_at_all(tmp_path):
    with pytest.raises(RunError, match="quickstart"):
        find_run("latest", tmp_path / "absent")


@pytest.mark.parametrize("name", ["a", "7", "1.b_C-d", "x" * 100, "latest-1"])
def test_names_that_can_be(tmp_path, name):
    assert create_run(tmp_path, name, {}).path == tmp_path / name


@pytest.mark.parametrize("name", ["latest", "", ".hidden", "a/b", "../x", "a b", "-x", "é", "x" * 101])
def test_names_that_cannot_be(tmp_path, name):
    with pytest.raises(UsageError, match="--name"):
        create_run(tmp_path, name, {})
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_taken_once_and_a_failure_leaves_nothing(tmp_path):
    create_run(tmp_path, "one", {})
    with pytest.raises(RunError, match="exists"):
        create_run(tmp_path, "one", {})
    with pytest.raises(ValueError, match="JSON"):
        create_run(tmp_path, "two", {"bad": float("nan")})
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EACCES])
def test_runs_dir_that_no_run_can_be_made_in(error, tmp_path, monkeypatch):
    def fail(path: Path, _: object) -> None:
        raise OSError(error, os.strerror(error), str(path))

    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    for name in ("file", "nowhere"):
        with pytest.raises(RunError, match="--runs-dir"):
            create_run(tmp_path / name, "one", {})
    monkeypatch.setattr(folder, "write_json", fail)
    with pytest.raises(RunError, match=os.strerror(error)):
        create_run(tmp_path, "one", {})
    assert {path.name for path in tmp_path.iterdir()} == {"file", "nowhere"}


@pytest.mark.parametrize("error", [None, errno.ENOSPC])
def test_a_name_that_another_process_takes_meanwhile_is_taken(error, tmp_path, monkeypatch):
    write_json = folder.write_json

    def late(path: Path, content: object) -> None:
        write_json(path, content)
        (tmp_path / "one").mkdir()
        write_json(tmp_path / "one" / "run.json", {"of": "another"})
        if error:
            raise OSError(error, os.strerror(error))

    monkeypatch.setattr(folder, "write_json", late)
    with pytest.raises(RunError) as raised:
        create_run(tmp_path, "one", {})
    assert isinstance(raised.value, NameTakenError) is (error is None)
    assert json.loads((tmp_path / "one" / "run.json").read_text()) == {"of": "another"}


@pytest.mark.parametrize("content", ["", "[]", '{"format": 99}', "{", '{"name": "x"}', "[" * 100_000])
def test_a_run_json_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=r"run\.json"):
        RunFolder(tmp_path).read()


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        ({"format": FORMAT + 1}, "pip install --upgrade"),
        ({"format": 0, "versions": {"resnet-search": "0.0.7"}}, "0.0.7"),
        ({"format": 0, "versions": {}}, "that wrote it."),
        ({"format": "2", "versions": ["0.0.7"]}, "that wrote it."),
        ({}, "that wrote it."),
    ],
)
def test_another_format_is_for_another_version(tmp_path, content, cure):
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(RunError) as raised:
        RunFolder(tmp_path).read()
    assert cure in raised.value.cure


def test_one_driver_at_a_time_and_a_dead_ones_lock_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "_LOCK_PATIENCE", 0.0)
    run = create_run(tmp_path, "one", {})
    program = (
        "import sys; from pathlib import Path\n"
        "from resnet_search.runs.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).lock():\n"
        "    print('locked', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert run.is_locked()
        with pytest.raises(RunError, match=f"process {other.pid}") as raised, run.lock():
            pass
        assert "resnet-search stop one" in raised.value.cure
        other.kill()
    assert not run.is_locked()
    assert run.last_driver() == Driver(other.pid, socket.gethostname()), "it did not give the run back"
    with run.lock():
        assert run.is_locked()
        assert run.last_driver() == Driver(os.getpid(), socket.gethostname())
    assert not run.is_locked()
    assert run.last_driver() is None


def test_a_driver_that_fails_gives_the_run_back(tmp_path):
    run = create_run(tmp_path, "one", {})
    with pytest.raises(KeyboardInterrupt), run.lock():
        raise KeyboardInterrupt
    assert run.last_driver() is None


class Clock:
    """Goes on while a driver sleeps."""

    def __init__(self) -> None:
        self.now, self.alarm, self.ring = 0.0, math.inf, lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.alarm:
            self.ring()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(folder, "time", clock)
    return clock


def test_whoever_looks_leaves_nothing(tmp_path):
    run = create_run(tmp_path, "one", {})
    assert not run.is_locked()
    assert [path.name for path in run.path.iterdir()] == ["run.json"]


def test_whoever_looks_does_not_keep_a_driver_out(tmp_path, clock):
    run = create_run(tmp_path, "one", {})
    with run.lock():
        pass
    with (run.path / "lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_EX)
        clock.alarm, clock.ring = 0.2, lambda: fcntl.flock(looking, fcntl.LOCK_UN)
        with run.lock():
            assert run.is_locked()
    assert clock.now < 0.4


def test_a_driver_waits_a_second_for_another(tmp_path, clock):
    run = create_run(tmp_path, "one", {})
    with run.lock():
        with pytest.raises(RunError, match="is in use"), run.lock():
            pass
        assert run.last_driver() == Driver(os.getpid(), socket.gethostname()), "who waits leaves no name"
    assert 1.0 <= clock.now < 1.2


def test_a_lock_that_cannot_be_read_holds_nobody(tmp_path, monkeypatch):
    run = create_run(tmp_path, "one", {})

    def closed(*_: object, **__: object) -> None:
        raise PermissionError

    with run.lock():
        monkeypatch.setattr(os, "open", closed)
        assert not run.is_locked()
        assert run.last_driver() is None
        monkeypatch.undo()


@pytest.mark.parametrize("text", ["", "process x on y", "process 7", "process 7 on a b", "\udcff"])
def test_a_lock_with_another_text_names_nobody(tmp_path, text):
    run = create_run(tmp_path, "one", {})
    (run.path / "lock").write_text(text, errors="surrogateescape")
    assert run.last_driver() is None


def test_only_one_process_at_a_time_does_a_thing_for_a_run(tmp_path):
    run = create_run(tmp_path, "one", {})
    with run.sole("watch") as first, run.sole("watch") as second, run.sole("track") as other:
        assert (first, second, other) == (True, False, True)
    with run.sole("watch") as first:
        assert first


def test_locks_on_windows(tmp_path, monkeypatch):
    locked = []
    windows = SimpleNamespace(LK_NBLCK=2, locking=lambda *words: locked.append(words))
    with (tmp_path / "lock").open("wb") as handle, monkeypatch.context() as patched:
        patched.setitem(sys.modules, "msvcrt", windows)
        patched.setattr(folder, "os", SimpleNamespace(name="nt"))
        assert folder._try_lock(handle)
        assert locked == [(handle.fileno(), 2, 1)]

        def taken(*_: object) -> None:
            raise PermissionError

        windows.locking = taken
        assert not folder._try_lock(handle)


def test_two_who_look_do_not_take_each_other_for_a_driver(tmp_path):
    run = create_run(tmp_path, "one", {})
    with run.lock():
        pass
    with (run.path / "lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not run.is_locked()


def test_a_driver_on_another_machine_is_named_with_it():
    assert str(Driver(7, "elsewhere")) == "process 7 on elsewhere"
    assert str(Driver(7, socket.gethostname())) == "process 7"


def test_trial_folders_are_those_of_ids(tmp_path):
    run = create_run(tmp_path, "one", {})
    ids = [f"{number:04d}" for number in (3, 1, 4, 15, 9, 2, 6, 5)]
    for name in (*(f"trial_{trial}" for trial in ids), "trial_x", "trial_", "trial_0000.unknown-1", "a_trial_1"):
        (run.path / name).mkdir()
    (run.path / "trial_7").touch()
    assert list(run.trial_folders()) == sorted(ids)
    assert list(run.trial_folders().values()) == [run.trial(trial) for trial in sorted(ids)]


def test_the_files_of_a_run_have_fixed_names(tmp_path):
    """Those of old runs, and the ones that the documentation names."""
    run = RunFolder(tmp_path)
    assert (run.events, run.worker_log) == (tmp_path / "events.jsonl", tmp_path / "worker.log")
    assert run.trial("0007") == tmp_path / "trial_0007"
    assert FORMAT == 1


@pytest.mark.parametrize("name", ["../../x", "/etc", "a/b", "", ".", "..", 7, None, "x" * 201, "a\nb"])
def test_images_are_nowhere_but_beside_the_runs(tmp_path, name):
    run = create_run(tmp_path, "one", {})
    assert run.arrays({"data": {"arrays": "abc-4-1-0"}}) == tmp_path / ".data" / "abc-4-1-0"
    assert run.arrays({"data": {"arrays": "x" * 200}}).name == "x" * 200
    final = create_run(run.path, "final", {})
    assert final.arrays({"of": {"run": "one"}, "data": {"arrays": "abc"}}) == tmp_path / ".data" / "abc"
    with pytest.raises(RunError, match=r"run\.json: is damaged: its images"):
        run.arrays({"data": {"arrays": name}})


def test_the_default_name_is_the_space_and_the_time_and_free(tmp_path, monkeypatch):
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).astimezone()
    monkeypatch.setattr(folder, "datetime", SimpleNamespace(now=lambda _: now))
    for end in ("", "-2", "-3"):
        run = create_run(tmp_path, default_name("cifar_small", tmp_path), {})
        assert run.name == f"cifar_small-{now:%Y%m%d-%H%M%S}{end}"
    assert create_run(tmp_path, default_name("x" * 200, tmp_path), {}).name.startswith("x" * 60 + "-")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_lock_that_is_a_pipe_is_not_waited_for(tmp_path):
    run = create_run(tmp_path, "a", {})
    os.mkfifo(run.path / "lock")
    assert not run.is_locked()


@pytest.mark.parametrize(
    ("name", "word"),
    [("a-1", "a-1"), ("my run", "'my run'"), ("$(touch x)", "'$(touch x)'"), ("-rf", "runs/-rf")],
)
def test_a_name_that_someone_has_given_is_one_word_of_a_shell(name, word):
    run = RunFolder(Path("runs") / name)
    assert run.word == word
    assert repair_words(run).endswith(f"resnet-search doctor {word} --repair")


def test_a_lock_that_cannot_be_written_is_named(tmp_path):
    run = create_run(tmp_path, "a", {})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # Like a full disk: every write fails.
    try:
        with pytest.raises(OSError, match="too large") as caught, run.lock():
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(run.path / "lock")

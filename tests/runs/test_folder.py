from __future__ import annotations

import fcntl
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from resnet_search.errors import RunError, UsageError
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
    two = create_run(tmp_path, "two", {"created": "2026-01-02T00:00:00"})
    assert find_run("one", tmp_path) == one
    assert find_run(str(two.path), tmp_path / "elsewhere").path == two.path
    assert find_run("latest", tmp_path) == two
    final = create_run(one.path, "final", {})
    assert find_run("one/final", tmp_path) == final
    assert (one.full_name, final.full_name, final.word) == ("one", "one/final", "one/final")
    assert list_runs(tmp_path) == [one, two]
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


def test_no_runs_at_all(tmp_path):
    with pytest.raises(RunError, match="quickstart"):
        find_run("latest", tmp_path / "absent")


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


def test_runs_dir_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="--runs-dir"):
        create_run(tmp_path / "file", "one", {})


@pytest.mark.parametrize("content", ["", "[]", '{"format": 99}', "{", '{"name": "x"}', "[" * 100_000])
def test_a_run_json_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=r"run\.json"):
        RunFolder(tmp_path).read()


def test_one_driver_at_a_time_and_a_dead_ones_lock_is_free(tmp_path):
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


def test_whoever_looks_does_not_keep_a_driver_out(tmp_path):
    run = create_run(tmp_path, "one", {})
    with run.lock():
        pass
    with (run.path / "lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_EX)
        threading.Timer(0.2, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        with run.lock():
            assert run.is_locked()


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
    for name in ("trial_0000", "trial_12", "trial_x", "trial_", "trial_0000.unknown-1"):
        (run.path / name).mkdir()
    (run.path / "trial_7").touch()
    assert set(run.trial_folders()) == {"0000", "12"}


@pytest.mark.parametrize("name", ["../../x", "/etc", "a/b", "", ".", "..", 7, None, "x" * 201, "a\nb"])
def test_images_are_nowhere_but_beside_the_runs(tmp_path, name):
    run = create_run(tmp_path, "one", {})
    assert run.arrays({"data": {"arrays": "abc-4-1-0"}}) == tmp_path / ".data" / "abc-4-1-0"
    with pytest.raises(RunError, match=r"run\.json: "):
        run.arrays({"data": {"arrays": name}})


def test_the_default_name_can_be_one(tmp_path):
    run = create_run(tmp_path, default_name("cifar_small", tmp_path), {})
    create_run(tmp_path, default_name("cifar_small", tmp_path), {})
    create_run(tmp_path, default_name("cifar_small", tmp_path), {})
    assert len(list_runs(tmp_path)) == 3
    assert json.loads((run.path / "run.json").read_text())["name"].startswith("cifar_small-")


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

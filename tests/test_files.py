"""Files that survive a crash; and that the program writes no others."""

from __future__ import annotations

import ast
import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import resnet_search
from resnet_search import files
from resnet_search.files import (
    append_line,
    check_room,
    leftovers,
    make_folder,
    naming,
    read_lines,
    remove,
    replacing,
    replacing_folder,
    set_aside,
    set_aside_copy,
    write_bytes,
    write_json,
    write_lines,
)

PACKAGE = Path(resnet_search.__file__).parent
# Calls that change a disk, and the modules that may make them without `files`: what they write is no part of a run, or
# goes into a folder that `files` puts in its place whole.
CHANGES = {
    "write_text", "write_bytes", "unlink", "rmdir", "mkdir", "rename", "touch", "rmtree", "truncate", "mkstemp",
    "copyfileobj", "copytree", "tofile",
}  # fmt: skip
ELSEWHERE = {
    "cli/main.py",  # the details of an error that should not have happened
    # Children that fill the folder of an export, and what starts them.
    "export/build.py", "export/verify.py", "export/make.py", "export/convert.py",
    "training/weights.py",  # a download, inside `replacing`
    "workers/local.py",  # worker.log, which the children write to
    "trackers/beside.py",  # trackers.log, likewise
    "workers/on_ray.py", "workers/host.py",  # worker.log, and scratch on the worker's machine
}  # fmt: skip


def changes(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    ours = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "resnet_search.files"
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            moves = name == "replace" and len(node.args) == 1 and not node.keywords
            words = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            opens = name == "open" and any(isinstance(word, str) and set(word) & set("wax") for word in words)
            if (name in CHANGES and name not in ours) or moves or opens:
                yield f"{path.name}:{node.lineno}: {ast.unparse(node)}"


def test_every_write_of_a_run_is_one_that_the_fault_tests_know():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        found = [change for change in changes(path) if not (name == "runs/folder.py" and "LOCK" in change)]
        assert (found == []) is (name not in ELSEWHERE and name != "files.py"), (name, found)
    steps = {name for name in vars(files) if name in {"_write", "_sync", "_move", "_remove", "_make_folder"}}
    assert len(steps) == 5


def test_a_failed_replacement_leaves_the_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def fail() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == '{\n "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("torn", [b'{"n": 2', b"{", b'{"n": 2}'])
def test_a_torn_last_line_is_left_out_and_then_cut_off(tmp_path, torn):
    log = tmp_path / "log"
    append_line(log, {"n": 1})
    with log.open("ab") as file:
        file.write(torn)
    assert read_lines(log) == [{"n": 1}]
    append_line(log, {"n": 3})
    assert read_lines(log) == [{"n": 1}, {"n": 3}]


def test_a_log_that_is_one_torn_line(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b'{"n"')
    append_line(log, {"n": 1})
    assert read_lines(log) == [{"n": 1}]
    assert read_lines(tmp_path / "absent") == []


def test_no_value_that_json_does_not_know(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_line(tmp_path / "log", {"loss": float("nan")})
    assert not (tmp_path / "log").exists()


def test_a_file_of_several_parts_and_one_of_lines(tmp_path):
    write_bytes(tmp_path / "a", b"one", memoryview(b"two"))
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    write_lines(tmp_path / "b", [{"n": 1}, {"n": 2}])
    assert read_lines(tmp_path / "b") == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("line", ["nonsense", "[" * 100_000, ""])
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / "log").write_text(f'{{"n": 1}}\n{line}\n{{"n": 3}}\n')
    with pytest.raises(ValueError, match="line 2 is not JSON"):
        read_lines(tmp_path / "log")


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    with replacing_folder(tmp_path / "a" / "b") as partial:
        (partial / "file").write_text("x")
        assert not (tmp_path / "a" / "b").exists()
    assert (tmp_path / "a" / "b" / "file").read_text() == "x"

    def taken() -> None:
        with replacing_folder(tmp_path / "a" / "b") as partial:
            (partial / "file").write_text("y")

    with pytest.raises(OSError, match="not empty"):
        taken()
    assert (tmp_path / "a" / "b" / "file").read_text() == "x"
    with replacing_folder(tmp_path / "a" / "b", again=True) as partial:
        (partial / "other").write_text("z")
    assert [path.name for path in (tmp_path / "a").rglob("*")] == ["b", "other"]


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), errno.ENOSPC),
        (OSError(errno.EACCES, "Permission denied", "/x/.partial-7-state.h5"), errno.EACCES),
        (OSError("Can't write data (file write failed: errno = 28, error message = 'No space')"), errno.ENOSPC),
    ],
)
def test_errors_name_the_file_that_a_user_knows(tmp_path, error, number):
    with pytest.raises(OSError, match=os.strerror(number)) as raised, naming(tmp_path / "state.h5"):
        raise error
    assert (raised.value.errno, raised.value.filename) == (number, str(tmp_path / "state.h5"))


@pytest.mark.parametrize("error", [OSError(errno.ENOENT, "gone", "/another"), OSError("no number"), ValueError("x")])
def test_errors_that_are_of_something_else_stay_as_they_are(tmp_path, error):
    with pytest.raises(type(error)) as raised, naming(tmp_path / "state.h5"):
        raise error
    assert raised.value is error


def test_room_is_tried_out_and_given_back(tmp_path, monkeypatch):
    check_room(tmp_path / "a", 1000)
    assert list(tmp_path.iterdir()) == []

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_write", full)
    with pytest.raises(OSError, match="No space left") as raised:
        check_room(tmp_path / "a", 1000)
    assert raised.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_removing_takes_what_is_there_and_no_more(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    remove(tmp_path / "link")
    assert (tmp_path / "a" / "b" / "file").exists()
    remove(tmp_path / "a")
    remove(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_what_is_set_aside_is_kept_under_a_free_name(tmp_path):
    path = tmp_path / "log"
    path.write_text("one")
    assert set_aside_copy(path, "damaged").name == "log.damaged-1"
    assert set_aside(path, "damaged").name == "log.damaged-2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.damaged-1", "log.damaged-2"]


KILLED = """
import os, sys
from pathlib import Path
from resnet_search import files
setattr(files, sys.argv[1], lambda *_: os._exit(9))
files.write_json(Path(sys.argv[2]), {})
"""


def test_leftovers_are_what_a_killed_write_leaves(tmp_path):
    for step in ("_sync", "_move"):
        words = [sys.executable, "-c", KILLED, step, str(tmp_path / f"{step}.json")]
        assert subprocess.run(words, check=False).returncode == 9
    (tmp_path / ".partial-mine").touch()
    left = {path.name.split("-", 2)[2]: json.loads(path.read_text()) for path in leftovers(tmp_path)}
    assert left == {"_sync.json": {}, "_move.json": {}}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_log_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "events.jsonl")
    with pytest.raises(OSError, match="is no regular file"):
        read_lines(tmp_path / "events.jsonl")

"""Files that survive a crash; and that the program writes no others."""

from __future__ import annotations

import ast
import errno
import io
import itertools
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import resnet_search
from resnet_search import files
from resnet_search.files import (
    append_bytes,
    append_line,
    check_room,
    interrupted,
    leftovers,
    make_folder,
    move,
    naming,
    read_lines,
    remove,
    replacing,
    replacing_folder,
    rewrite,
    set_aside,
    set_aside_copy,
    write_bytes,
    write_json,
    write_lines,
    write_text,
)
from resnet_search.lines import encode_line


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What reaches the disk, in order: folders made and removed, renames, syncs of a file with its size or a folder.

    Names are relative to `tmp_path`, without the number of the process.
    """
    noted: list[tuple[Any, ...]] = []
    mkdir, rmdir, replace = os.mkdir, os.rmdir, os.replace

    def name(path: Any) -> str:
        return Path(path).relative_to(tmp_path).as_posix().replace(f"-{os.getpid()}-", "-")

    def note_mkdir(path: Any, *rest: Any) -> None:
        mkdir(path, *rest)
        noted.append(("make", name(path)))

    def note_rmdir(path: Any, **options: Any) -> None:
        rmdir(path, **options)
        noted.append(("remove", name(path)))

    def note_replace(old: Any, new: Any) -> None:
        replace(old, new)
        noted.append(("rename", name(old), name(new)))

    def note_fsync(handle: int) -> None:
        status = os.fstat(handle)
        path = next(path for path in (tmp_path, *tmp_path.rglob("*")) if os.path.samestat(path.stat(), status))
        noted.append(("sync", name(path)) if path.is_dir() else ("sync", name(path), status.st_size))

    monkeypatch.setattr(os, "mkdir", note_mkdir)
    monkeypatch.setattr(os, "rmdir", note_rmdir)
    monkeypatch.setattr(os, "replace", note_replace)
    monkeypatch.setattr(os, "fsync", note_fsync)
    return noted


def test_a_line_is_on_disk_before_the_next_step(tmp_path, steps):
    sizes = list(itertools.accumulate(len(encode_line({"n": number})) for number in (1, 2, 3)))
    append_line(tmp_path / "log", {"n": 1})
    assert steps == [("sync", "log", sizes[0]), ("sync", ".")], "the folder too, as the log is new"
    steps.clear()
    append_line(tmp_path / "log", {"n": 2})
    assert steps == [("sync", "log", sizes[1])]
    steps.clear()
    with (tmp_path / "log").open("ab") as log:
        log.write(b'{"torn')
    append_line(tmp_path / "log", {"n": 3})
    assert steps == [("sync", "log", sizes[2])]


def library(path: Path, **options: bool) -> None:
    """Write as a library does that is given a path, and does not sync."""
    with replacing(path, **options) as partial:
        partial.write_bytes(b"[1]\n")


WRITERS = {
    "library": library,
    "bytes": lambda path, **options: write_bytes(path, b"[1", memoryview(b"]\n"), **options),
    "text": lambda path, **options: write_text(path, "[1]\n", **options),
    "json": lambda path, **options: write_json(path, [1], indent=None, **options),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("old", [None, "longer than the new one"])
def test_a_replaced_file_is_on_disk_before_its_name_and_that_before_the_next_step(tmp_path, steps, write, old):
    path = tmp_path / "a"
    if old:
        path.write_text(old)
    write(path)
    assert steps == [("sync", ".partial-a", 4), ("rename", ".partial-a", "a"), ("sync", ".")]
    assert path.read_text() == "[1]\n"


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_file_that_can_be_derived_from_others_is_replaced_without_a_sync(tmp_path, steps, write):
    write(tmp_path / "a", durable=False)
    assert steps == [("rename", ".partial-a", "a")]
    assert (tmp_path / "a").read_text() == "[1]\n"


def test_a_replaced_log_is_on_disk_before_its_name(tmp_path, steps):
    write_lines(tmp_path / "log", [{"n": 1}, {"n": 2}])
    size = len(encode_line({"n": 1})) + len(encode_line({"n": 2}))
    assert steps == [("sync", ".partial-log", size), ("rename", ".partial-log", "log"), ("sync", ".")]


def test_what_can_be_derived_from_others_is_appended_without_a_sync(tmp_path, steps):
    append_bytes(tmp_path / "a", b"one")
    append_bytes(tmp_path / "a", b"two")
    assert steps == []
    assert (tmp_path / "a").read_bytes() == b"onetwo"


@pytest.mark.parametrize("again", [False, True])
def test_a_new_folder_is_on_disk_before_its_name_and_that_before_the_next_step(tmp_path, steps, again):
    with replacing_folder(tmp_path / "a", again=again) as partial:
        (partial / "file").touch()
        steps.append("filled")
    assert steps == [
        ("make", ".partial-a"), ("sync", "."), "filled",
        ("sync", ".partial-a"), ("rename", ".partial-a", "a"), ("sync", "."),
    ]  # fmt: skip


def test_a_folder_that_takes_the_place_of_another_is_on_disk_before_that_is_moved_and_then_removed(tmp_path, steps):
    (tmp_path / "a").mkdir()
    steps.clear()
    with replacing_folder(tmp_path / "a", again=True):
        steps.append("filled")
    assert steps == [
        ("make", ".partial-a"), ("sync", "."), "filled",
        ("sync", ".partial-a"), ("rename", "a", ".old-a"), ("rename", ".partial-a", "a"), ("remove", ".old-a"),
        ("sync", "."),
    ]  # fmt: skip


def test_a_folder_and_those_above_it_are_on_disk_before_the_next_step(tmp_path, steps):
    make_folder(tmp_path / "a" / "b")
    assert steps[-2:] == [("sync", "a"), ("sync", ".")]
    assert {("make", "a"), ("make", "a/b")} <= set(steps[:-2])
    steps.clear()
    make_folder(tmp_path / "a" / "b")
    assert steps == []
    make_folder(tmp_path / "a" / "c")
    assert steps == [("make", "a/c"), ("sync", "a")]


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="open files cannot be counted here")
def test_nothing_stays_open(tmp_path):
    before = len(list(Path("/dev/fd").iterdir()))
    append_line(tmp_path / "log", {})
    write_json(tmp_path / "a", {})
    make_folder(tmp_path / "b")
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_file_is_written_beside_its_place_under_a_name_with_its_suffix(tmp_path):
    with replacing(tmp_path / "state.weights.h5") as partial:
        partial.touch()
        assert leftovers(tmp_path) == [partial], "what a killed process leaves is recognised"
        assert partial.name.endswith("state.weights.h5")
    assert leftovers(tmp_path) == []


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


def test_an_error_before_anything_is_written_is_the_one_that_is_raised(tmp_path):
    def fail() -> None:
        with replacing_folder(tmp_path / "a") as partial:
            partial.rmdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a"):
        raise KeyboardInterrupt
    with pytest.raises(FileNotFoundError) as caught:
        write_text(tmp_path / "absent" / "a", "text")
    assert caught.value.filename == str(tmp_path / "absent" / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_fails_leaves_nothing_and_takes_over_nothing(tmp_path):
    """A process that was killed may have had the same number: in a container, most have."""
    stale = tmp_path / f".partial-{os.getpid()}-a"

    def fail() -> None:
        with replacing_folder(tmp_path / "a") as partial:
            (partial / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []
    stale.mkdir()
    (stale / "old").touch()
    with replacing_folder(tmp_path / "a") as partial:
        (partial / "new").touch()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["a", "a/new"]
    (tmp_path / f".partial-{os.getpid()}-b").write_text("older and longer")
    write_text(tmp_path / "b", "new")
    assert (tmp_path / "b").read_text() == "new"


def test_a_folder_whose_successor_cannot_take_its_place_comes_back(tmp_path, monkeypatch):
    make_folder(tmp_path / "a" / "old")
    replace = os.replace

    def fail_once(old: Any, new: Any) -> None:
        if ".partial-" in str(old):
            raise OSError(errno.EACCES, "Permission denied", str(old))
        replace(old, new)

    monkeypatch.setattr(os, "replace", fail_once)
    with pytest.raises(PermissionError) as caught, replacing_folder(tmp_path / "a", again=True):
        pass
    assert caught.value.filename == str(tmp_path / "a")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["a", "a/old"]


def test_a_folder_has_taken_its_place_even_where_the_old_one_cannot_be_removed(tmp_path, monkeypatch):
    make_folder(tmp_path / "a" / "old")
    unlink = os.rmdir

    def fail(path: Any, **options: Any) -> None:
        if str(path) == "old":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        unlink(path, **options)

    monkeypatch.setattr(os, "rmdir", fail)
    with replacing_folder(tmp_path / "a", again=True) as partial:
        (partial / "new").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"]


def test_a_folder_that_another_process_makes_meanwhile_is_taken(tmp_path, monkeypatch):
    mkdir = os.mkdir

    def late(path: Any, *rest: Any) -> None:
        mkdir(path, *rest)
        mkdir(path, *rest)

    monkeypatch.setattr(os, "mkdir", late)
    make_folder(tmp_path / "a")
    assert (tmp_path / "a").is_dir()


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "a")


@pytest.mark.parametrize("mode", ["rb+", "ab+"])
def test_an_open_file_is_rewritten(tmp_path, mode):
    (tmp_path / "lock").write_text("longer than the new text")
    with (tmp_path / "lock").open(mode) as file:
        rewrite(file, "new")
        assert (tmp_path / "lock").read_text() == "new"
        rewrite(file, "")
    assert (tmp_path / "lock").read_text() == ""


def test_json_is_for_readers_or_in_one_line(tmp_path):
    write_json(tmp_path / "a", {"n": [1]})
    assert (tmp_path / "a").read_text() == '{\n "n": [\n  1\n ]\n}\n'
    write_json(tmp_path / "a", {"n": [1]}, indent=None)
    assert (tmp_path / "a").read_text() == '{"n": [1]}\n'


def test_only_the_end_of_a_whole_log_is_read(tmp_path):
    """A line is appended in a time that does not grow with the log."""

    class Log(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size == 1
            return super().read(size)

    log = Log(b'{"n": 1}\n')
    files._cut_torn_line(log)
    assert log.getvalue() == b'{"n": 1}\n'


def test_moving_takes_a_file_to_its_new_name(tmp_path):
    (tmp_path / "a").write_text("one")
    move(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("torn", [b'{"n": 2', b"{", b'{"n": 2}'])
def test_a_torn_last_line_is_left_out_and_then_cut_off(tmp_path, torn):
    log = tmp_path / "log"
    append_line(log, {"n": 1})
    with log.open("ab") as file:
        file.write(torn)
    assert read_lines(log) == [{"n": 1}]
    append_line(log, {"n": 3})
    assert read_lines(log) == [{"n": 1}, {"n": 3}]


@pytest.mark.parametrize("torn", [b'{"n"', b"{"])
def test_a_log_that_is_one_torn_line(tmp_path, torn):
    log = tmp_path / "log"
    log.write_bytes(torn)
    append_line(log, {"n": 1})
    assert read_lines(log) == [{"n": 1}]
    assert read_lines(tmp_path / "absent") == []


def test_no_value_that_json_does_not_know(tmp_path):
    for write, value in ((append_line, {"loss": math.nan}), (write_json, [math.inf]), (write_lines, [{}, -math.inf])):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write(tmp_path / "log", value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_several_parts_and_one_of_lines(tmp_path):
    write_bytes(tmp_path / "a", b"one", memoryview(b"two"))
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    write_lines(tmp_path / "b", [{"n": 1}, {"n": 2}])
    assert read_lines(tmp_path / "b") == [{"n": 1}, {"n": 2}]


def test_lines_of_earlier_versions_have_no_checksum(tmp_path):
    (tmp_path / "log").write_text('{"n": 1}\n')
    append_line(tmp_path / "log", {"n": 2})
    assert read_lines(tmp_path / "log") == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("line", ["nonsense", "[" * 100_000, "", "{}, {}", "[1\n2]", "1]\n[2", "\udcff"])
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / "log").write_text(f'{{"n": 1}}\n{line}\n{{"n": 3}}\n', errors="surrogateescape")
    with pytest.raises(ValueError, match="line 2 is not JSON") as caught:
        read_lines(tmp_path / "log")
    assert len(str(caught.value)) < 200


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
    written: list[int] = []
    monkeypatch.setattr(files, "_write", lambda _, data: written.append(len(data)))
    check_room(tmp_path / "a", 1000)
    assert written == [1000]
    assert list(tmp_path.iterdir()) == []

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for place, step in ((files, "_write"), (Path, "open")):
        monkeypatch.setattr(place, step, full)
        with pytest.raises(OSError, match="No space left") as raised:
            check_room(tmp_path / "a", 1000)
        assert raised.value.filename == str(tmp_path / "a")
        assert list(tmp_path.iterdir()) == []


def test_removing_takes_what_is_there_and_no_more(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    for name in ("file", "other"):
        (tmp_path / "a" / "b" / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    remove(tmp_path / "link")
    remove(tmp_path / "a" / "b" / "other")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["file"]
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
    for name in (".partial-mine", ".old-1", "a.partial-1-b", ".partial-x-b"):
        (tmp_path / name).touch()
    left = {path.name.split("-", 2)[2]: json.loads(path.read_text()) for path in leftovers(tmp_path)}
    assert left == {"_sync.json": {}, "_move.json": {}}
    [(place, kind, process)] = interrupted(tmp_path / "_sync.json")
    assert (json.loads(place.read_text()), kind, place.name) == ({}, "partial", f".partial-{process}-_sync.json")
    assert interrupted(tmp_path / "a") == []


def test_leftovers_are_in_the_order_of_their_names(tmp_path):
    names = [f".{kind}-{number}-a" for kind in ("partial", "old") for number in (3, 1, 2)]
    for name in names:
        (tmp_path / name).mkdir()
    assert [path.name for path in leftovers(tmp_path)] == sorted(names)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_log_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "events.jsonl")
    with pytest.raises(OSError, match="is a pipe"):
        read_lines(tmp_path / "events.jsonl")


PACKAGE = Path(resnet_search.__file__).parent
# Calls that change a disk, and the modules that may make them without `files`: what they write is no part of a run, or
# goes into a folder that `files` puts in its place whole.
CHANGES = {
    "write_text", "write_bytes", "unlink", "rmdir", "mkdir", "rename", "touch", "rmtree", "truncate", "mkstemp",
    "copyfileobj", "copytree", "tofile",
}  # fmt: skip
ELSEWHERE = {
    "cli/main.py",  # the details of an internal error
    # Children that fill the folder of an export, and what starts them.
    "export/build.py", "export/verify.py", "export/make.py", "export/convert.py",
    "training/weights.py", "training/steps.py",  # a download, and answers to images, inside `replacing`
    "workers/local.py",  # worker.log, which the children write to
    "trackers/beside.py",  # trackers.log, likewise
    "workers/host.py",  # scratch on the worker's machine
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
            opens = name in {"open", "open_plain"} and any(
                isinstance(word, str) and set(word) & set("wax") for word in words
            )
            if (name in CHANGES and name not in ours) or moves or opens:
                yield f"{path.name}:{node.lineno}: {ast.unparse(node)}"


def test_every_write_of_a_run_is_one_that_the_fault_tests_know():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        found = [change for change in changes(path) if not (name == "runs/folder.py" and "LOCK" in change)]
        assert (found == []) is (name not in ELSEWHERE and name != "files.py"), (name, found)
    steps = {name for name in vars(files) if name in {"_write", "_sync", "_move", "_remove", "_make_folder"}}
    assert len(steps) == 5

"""What was not made in this process is opened as a regular file of a plausible size, or refused by name."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_search import files, reading

MAKE: dict[str, tuple[Callable[[Path], object], int]] = {
    "a link": (lambda path: path.symlink_to(path.with_name("target")), errno.ELOOP),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), errno.ELOOP),
    "a link to nothing": (lambda path: path.symlink_to(path.with_name("nowhere")), errno.ELOOP),
    "a pipe": (os.mkfifo, errno.EINVAL),
    "a folder": (Path.mkdir, errno.EISDIR),
    "too large": (lambda path: os.truncate(path, 100) if path.touch() is None else None, errno.EFBIG),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "target").write_text("precious\n")
    return tmp_path / "file"


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("mode", ["rb", "ab", "ab+"])
def test_what_is_no_plain_file_is_refused_by_name(kind: str, mode: str, path: Path) -> None:
    make, number = MAKE[kind]
    make(path)
    with pytest.raises(OSError) as raised:
        reading.open_plain(path, 99, mode)
    # A pipe that nobody reads cannot be opened to write.
    assert raised.value.errno in {number, errno.ENXIO if mode == "ab" else number}
    assert raised.value.filename == str(path)
    assert (path.parent / "target").read_text() == "precious\n"
    assert not (path.parent / "nowhere").exists()


def test_a_socket_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)  # Its name may be short alone.
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)
        with pytest.raises(OSError, match=path.name):
            reading.open_plain(path, 99)


def test_a_file_with_a_second_name_is_read_and_not_appended_to(path: Path) -> None:
    os.link(path.with_name("target"), path)
    assert reading.read_text(path, 99) == "precious\n"
    for change in (lambda: files.append_line(path, {"n": 1}), lambda: files.append_bytes(path, b"x")):
        with pytest.raises(OSError, match="hard link"):
            change()
    assert path.read_text() == "precious\n"


def test_a_file_is_appended_to_and_made(path: Path) -> None:
    files.append_bytes(path, b"one")
    with reading.open_plain(path, 99, "ab", buffering=0) as file:
        file.write(b"two")
    assert path.read_text() == "onetwo"


def test_what_is_written_replaces_a_link_and_a_link_in_the_place_of_the_partial_file(path: Path) -> None:
    path.symlink_to("target")
    path.with_name(f".partial-{os.getpid()}-file").symlink_to("target")
    files.write_text(path, "new")
    assert (path.read_text(), path.is_symlink()) == ("new", False)
    path.with_name(f".partial-{os.getpid()}-file").symlink_to("target")
    files.check_room(path, 10)
    assert path.with_name("target").read_text() == "precious\n"


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "\udcff", "9" * 5000])
def test_json_that_cannot_be_read_is_a_value_error(text: str, path: Path) -> None:
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(ValueError):
        reading.read_json(path)


def test_a_folder_of_plain_files(path: Path) -> None:
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "file").touch()
    reading.check_tree(path)
    (path / "inner" / "link").symlink_to("file")
    with pytest.raises(OSError, match=r"link.*inner/link"):
        reading.check_tree(path)
    with pytest.raises(FileNotFoundError):
        reading.check_tree(path / "nowhere")


@pytest.mark.parametrize(
    ("content", "line"),
    [("", ""), ("\n\n", ""), ("one\ntwo", "two"), ("one\n two \n\n", "two"), ("x" * 10**5, "x" * 200)],
)
def test_the_last_line_of_a_log(content: str, line: str, path: Path) -> None:
    assert reading.last_line(path) == ""
    path.write_text(content)
    assert reading.last_line(path) == line

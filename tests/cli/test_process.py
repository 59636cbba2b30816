"""Commands with closed streams, in other locales, and with warnings as errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import make_run
from tests.faults.table import fault

ROOT = Path(__file__).resolve().parents[2]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def shell(words: str, cwd: Path, **environment: str) -> tuple[int, str, str]:
    """Run a command line in a shell of its own."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"'{sys.executable}' -P -m resnet_search {words}"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@fault(
    "environment",
    "Standard input, output or error is closed, as by a daemon",
    here="what would be printed is lost, and nothing else",
)
@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("list >&-", 0),
        ("list --json >&-", 0),
        ("trials trial-run <&- >&- 2>&-", 0),
        ("show trial-run 0 <&- >&- 2>&-", 0),
        ("nonsense 2>&-", 2),
    ],
)
def test_a_command_works_with_closed_streams(words: str, status: int, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs")
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert shell(words, tmp_path) == (status, "", "")
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before


@fault(
    "environment",
    "The reader of a search's output, such as `head`, ends before the search",
    here="the search continues to its end",
)
def test_a_command_outlives_the_reader_of_its_output() -> None:
    ask = (
        "import sys; from resnet_search.cli.process import outlive_reader; outlive_reader();"
        "print('first'); sys.stdin.readline(); print('lost'); print('lost'); sys.stdout.flush(); sys.exit(7)"
    )
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", ask],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"first\n"
    child.stdout.close()
    assert child.stdin is not None
    child.stdin.write(b"\n")
    child.stdin.close()
    assert child.stderr is not None
    assert child.stderr.read() == b""
    assert child.wait(60) == 7


def test_what_is_opened_does_not_become_a_standard_stream(tmp_path: Path) -> None:
    ask = (
        "import os; from resnet_search.workers.quiet import open_streams; open_streams();"
        "print('lost'); import sys; sys.stdin.read(); print('lost', file=sys.stderr);"
        f"file = os.open({str(tmp_path / 'file')!r}, os.O_CREAT | os.O_WRONLY); os.write(file, str(file).encode())"
    )
    command = f'exec "{sys.executable}" -c "$0" <&- >&- 2>&-'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(["/bin/sh", "-c", command, ask], check=False, env=environment).returncode == 0
    assert int((tmp_path / "file").read_text()) > 2


@fault(
    "environment",
    "The locale is `C`, without UTF-8",
    here="names of files and classes are read as UTF-8",
)
def test_names_of_files_are_read_in_an_ascii_locale(tmp_path: Path) -> None:
    (tmp_path / "räume").mkdir()
    make_run(tmp_path / "räume", "lauf")
    status, out, err = shell("list --runs-dir räume", tmp_path, **ASCII)
    assert (status, err) == (0, "")
    assert "lauf" in out
    status, _, err = shell("list --runs-dir räume/nichts/ü.txt", tmp_path, **ASCII)
    assert (status, err) == (0, "")
    status, _, err = shell("show räume/lauf 99", tmp_path, **ASCII)
    assert status == 1
    assert "99" in err


@fault(
    "environment",
    "`PYTHONWARNINGS=error` is set",
    here="warnings of libraries stay warnings",
)
def test_warnings_of_libraries_are_no_errors() -> None:
    ask = (
        "import os, subprocess, sys, warnings; from resnet_search.cli.process import prepare; prepare(restart=False);"
        "warn = 'import warnings; warnings.warn(str(), DeprecationWarning)'; exec(warn);"
        "sys.exit(subprocess.run([sys.executable, '-c', warn]).returncode)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    assert subprocess.run([sys.executable, "-c", ask], check=False, env=environment).returncode == 0

"""What all tests share: where they write, how long they may take, and what they may skip."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
SLOW_TIMEOUT = 1800  # seconds; that of the others is in pyproject.toml
RAM, RAM_NEEDED = Path("/dev/shm"), 2 * 2**30  # noqa: S108 - a folder that the system keeps in memory
SKIPS = ROOT / "tests" / "skips.toml"

# Temporary folders in memory: made runs are thousands of small files. Child processes and workers of xdist inherit it.
if "TMPDIR" not in os.environ and os.access(RAM, os.W_OK) and shutil.disk_usage(RAM).free > RAM_NEEDED:
    os.environ["TMPDIR"] = tempfile.tempdir = str(RAM)  # both: pytest has asked for the folder already
# Child processes test this checkout, wherever they start and whatever is installed.
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])

# How long an example takes says something about the machine, and nothing about the code; a failure can be repeated.
hypothesis.settings.register_profile("resnet-search", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("resnet-search")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--skips", metavar="STEP", help="fail if a test is skipped for a reason that tests/skips.toml does not list"
    )
    parser.addoption("--update-golden", action="store_true", help="write what the golden tests compare with")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--skips") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Skips(config.getoption("--skips")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))


class _Skips:
    """Fails a session in which a test is skipped for another reason than the listed ones of a step."""

    def __init__(self, step: str) -> None:
        self.allowed = tomllib.loads(SKIPS.read_text(encoding="utf-8"))[step]
        self.unexpected: set[str] = set()

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
            path, _, reason = report.longrepr
            reason = reason.removeprefix("Skipped: ")
            if not any(re.fullmatch(pattern, reason) for pattern in self.allowed):
                self.unexpected.add(f"{report.nodeid or path}: {reason}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexpected and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for skip in sorted(self.unexpected):
            terminalreporter.write_line(f"SKIPPED, which {SKIPS.name} does not allow: {skip}", red=True)


@pytest.fixture(scope="session", autouse=True)
def _the_disk_is_not_waited_for() -> Iterator[None]:
    """Syncing costs a made run more than all else. Tests of durability record the calls themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def set_cap(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Makes spaces of more than `cap` points too large to be listed, and samples of them `sample` points large."""
    from resnet_search.spaces import feasible

    def set_them(cap: int, sample: int) -> None:
        monkeypatch.setattr(feasible, "CAP", cap)
        monkeypatch.setattr(feasible, "SAMPLE", sample)
        feasible.find_feasible.cache_clear()

    yield set_them
    feasible.find_feasible.cache_clear()


@pytest.fixture
def low_cap(set_cap: Callable[..., None]) -> None:
    """A space of more than 100 points is large, and a sample has 200."""
    set_cap(100, sample=200)


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of exact counts; a test that needs a number from elsewhere skips where that is absent."""
    return ROOT / "tests" / "golden"


@pytest.fixture
def check_golden(golden: Path, request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with a golden file, which `--update-golden` writes first."""

    def check(name: str, text: str) -> None:
        path = golden / name
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"if {name} should change: pytest --update-golden"

    return check


@pytest.fixture(scope="session")
def shared() -> Path:
    """A folder beside the checkout that some machines have: full-size CIFAR-10 without internet access."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the full-size data set beside the checkout is absent")
    return folder

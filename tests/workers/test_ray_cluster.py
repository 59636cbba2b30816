"""A real Ray cluster of three nodes on this machine: nodes that die and join, drivers that die, another cluster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from resnet_search.files import read_lines
from resnet_search.runs.folder import DATA_FOLDER, RunFolder
from resnet_search.runs.trials import RunView, read_run
from tests.workers.ray_nodes import TOKEN, RayNodes

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")]

PATIENCE = 1800  # seconds
SPACE = """
description = "six trials"
[axes]
block = "basic"
n = [1]
width = [4, 6, 8, 10, 12]
[hyperband]
max_epochs = 3
[recipe]
batch_size = 32
[data]
source = "shapes"
image_size = 8
validation = 100
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory) -> Iterator[RayNodes]:
    cluster = RayNodes(tmp_path_factory.mktemp("ray"))
    cluster.head()
    cluster.add("first")
    cluster.add("second")
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "tiny.toml").write_text(SPACE)
    return folder


@pytest.fixture(scope="module")
def local(runs) -> list[tuple]:
    """What processes of this machine find."""
    driver = start(runs, "local", "--workers", "2", "--threads", "1", environment=dict(os.environ))
    assert driver.wait(PATIENCE) == 0
    return table(runs, "local")


def search_words(runs: Path, name: str) -> list[str]:
    space = str(runs / "tiny.toml")
    return ["run", "--space", space, "--train-examples", "512", "--name", name, "--device", "cpu"]


def start(
    runs: Path, name: str, *words: str, environment: dict[str, str], verb: str = "run"
) -> subprocess.Popen[bytes]:
    chosen = search_words(runs, name) if verb == "run" else [verb, name]
    with (runs / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "resnet_search", *chosen, "--runs-dir", str(runs), "--no-export", *words],
            stdout=log, stderr=log, env=environment,
            # A shell starts what runs in its background with SIGINT ignored, and the command line leaves it so.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it takes no lock
        )  # fmt: skip


def view_of(runs: Path, name: str) -> RunView:
    return read_run(RunFolder(runs / name))


def table(runs: Path, name: str) -> list[tuple]:
    view = view_of(runs, name)
    assert view.state == "finished", (runs / f"{name}.log").read_text()[-3000:]
    trials = [t for t in view.trials.values() if t.status == "completed"]
    return sorted((t.iteration, t.bracket, t.rung, t.name, t.epochs, t.score) for t in trials)


def until(runs: Path, name: str, condition: Callable[[RunView], bool], driver: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert driver.poll() is None, (runs / f"{name}.log").read_text()[-3000:]
        if (runs / name / "events.jsonl").exists() and condition(view_of(runs, name)):
            return
        time.sleep(0.2)
    raise AssertionError(f"{name} takes too long")


def completed(number: int) -> Callable[[RunView], bool]:
    return lambda view: view.completed >= number


def test_a_node_is_killed_and_another_joins(nodes, runs, local):
    driver = start(runs, "nodes", "--workers", f"ray://{nodes.address}", environment=nodes.environment)
    until(runs, "nodes", completed(1), driver)
    nodes.kill("first")
    until(runs, "nodes", completed(3), driver)
    nodes.add("third")
    assert driver.wait(PATIENCE) == 0
    assert table(runs, "nodes") == local
    assert not any(trial.losses for trial in view_of(runs, "nodes").trials.values())


def test_a_driver_is_killed_and_another_cluster_takes_over(nodes, runs, local, tmp_path_factory):
    driver = start(runs, "driver", "--workers", f"ray://{nodes.address}", environment=nodes.environment)
    until(runs, "driver", completed(1), driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    words = ["--workers", f"ray://{nodes.address}"]
    driver = start(runs, "driver", *words, environment=nodes.environment, verb="resume")
    until(runs, "driver", completed(3), driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    other = RayNodes(tmp_path_factory.mktemp("other"), TOKEN[::-1])
    try:
        other.head(cpus=1)
        driver = start(
            runs, "driver", "--workers", f"ray://{other.address}", environment=other.environment, verb="resume"
        )
        assert driver.wait(PATIENCE) == 0
    finally:
        other.close()
    assert table(runs, "driver") == local


def test_a_driver_that_is_interrupted_puts_its_run_in_order(nodes, runs):
    """By what the handler of the signal raises, not by what Ray makes of it."""
    words = ["--workers", f"ray://{nodes.address}"]
    for times, (verb, number) in enumerate([("run", signal.SIGINT), ("resume", signal.SIGTERM)], start=1):
        driver = start(runs, "ended", *words, environment=nodes.environment, verb=verb)
        until(runs, "ended", completed(times), driver)
        driver.send_signal(number)
        assert driver.wait(PATIENCE) == 128 + number
        log = (runs / "ended.log").read_text()
        assert "Traceback" not in log
        assert log.count("Interrupted.") == times
        last = read_lines(runs / "ended" / "events.jsonl")[-1]
        assert (last["event"], last["reason"]) == ("interrupted", "Interrupted")


def test_what_follows_a_search_trains_there_too(nodes, runs, local):
    on_ray = ["--workers", f"ray://{nodes.address}"]
    (runs / "again").mkdir()
    shutil.copytree(runs / "local", runs / "again" / "local")
    shutil.copytree(runs / DATA_FOLDER, runs / "again" / DATA_FOLDER)
    for folder, workers in ((runs, ["--workers", "2", "--threads", "1"]), (runs / "again", on_ray)):
        words = ["confirm", "local", "--top", "2", "--seeds", "1", "--epochs", "1", "--runs-dir", str(folder), *workers]
        done = subprocess.run(
            [sys.executable, "-m", "resnet_search", *words], env=nodes.environment, capture_output=True, text=True,
            check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert table(runs / "again" / "local", "confirm") == table(runs / "local", "confirm")
    assert start(runs, "local", "--epochs", "2", *on_ray, environment=nodes.environment, verb="train").wait(600) == 0
    assert table(runs / "local", "final")


def test_a_wrong_token_is_told_as_one(nodes, runs):
    environment = {**nodes.environment, "RAY_AUTH_TOKEN": TOKEN[::-1]}
    driver = start(runs, "token", "--workers", f"ray://{nodes.address}", environment=environment)
    assert driver.wait(PATIENCE) == 1
    assert "token" in (runs / "token.log").read_text()
    assert not (runs / "token").exists(), "nothing is left behind"

"""`confirm` and `train RUN`: what is refused, and the way from a search to a network whose worth is known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_search.runs.trials import open_run

from .conftest import Outcome, make_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished run without checkpoints, in ./runs."""
    monkeypatch.chdir(tmp_path)
    return make_run(Path("runs")).name


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["confirm", "RUN", "--top", "0"], "--top"),
        (["confirm", "RUN", "--top", "999"], "--top: got 999; allowed: 1 to"),
        (["confirm", "RUN", "--seeds", "x"], "--seeds"),
        (["confirm", "RUN", "--recipe", "hee"], "nearest: he"),
        (["train"], "RUN or --model: missing"),
        (["train", "RUN", "--model", "resnet-20"], "RUN or --model: got"),
        (["train", "RUN", "--seed", "1"], "--seed: got it beside RUN"),
        (["train", "RUN", "--test"], "--test: got it beside RUN"),
        (["train", "RUN", "--trial", "77777"], "TRIAL: got '77777'"),
        (["train", "--model", "resnet-20", "--all-images"], "--all-images: got it beside --model"),
        (["confirm", "nothing"], "got 'nothing'"),
    ],
)
def test_what_is_refused(run: str, command: Callable[..., Outcome], words: list[str], told: str) -> None:
    outcome = command(*[run if word == "RUN" else word for word in words])
    assert outcome.status in {1, 2}
    assert told in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err
    assert not (Path("runs") / run / "confirm").exists()
    assert not (Path("runs") / run / "final").exists()


def test_nothing_was_trained_in_full_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., Outcome]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = make_run(Path("runs"), stop_after=3).name
    for verb in ("confirm", "train"):
        outcome = command(verb, name)
        assert outcome.status == 1
        assert f"resnet-search resume {name}" in outcome.err


@pytest.mark.slow
def test_from_a_search_to_a_network_whose_worth_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., Outcome]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--space", "quickstart", "--data", "shapes", "--max-epochs", "3", "--train-examples", "300"]
    outcome = command("run", *small, "--name", "s", "--no-export", "-q")
    assert outcome.status == 0, outcome
    outcome = command("confirm", "s", "--top", "2", "--seeds", "2", "--epochs", "1")
    assert outcome.status == 0, outcome
    assert "4 of 4 networks, 1 epoch each" in outcome.out
    assert "resnet-search train s" in outcome.out
    best = re.findall(r"^(\d{4}) .* best$", outcome.out, re.MULTILINE)
    assert len(best) == 1
    # With the same command what is done is shown again; with another it is refused, and kept.
    assert command("confirm", "s").out.splitlines()[-8:] == outcome.out.splitlines()[-8:]
    refused = command("confirm", "s", "--seeds", "3")
    assert refused.status == 2
    assert "--seeds: got 3; it has 2" in refused.err
    outcome = command("train", "s", "--epochs", "2")
    assert outcome.status == 0, outcome
    assert f"trial {best[0]} of s" in outcome.out
    assert re.search(r"Test +\d+\.\d\d % right", outcome.out)
    measured = json.loads(Path("runs/s/final/test.json").read_text())["measured"]
    assert measured["images"] == 1000
    assert sum(map(sum, measured["confusion"])) == 1000
    assert open_run("runs/s/final").content["data"]["train"] == 300 + open_run("s").content["data"]["validation"]
    assert "test accuracy on 1,000 test images" in Path("runs/s/final/export/report.md").read_text()
    assert 'split: "test"' in Path("runs/s/final/export/README.md").read_text()
    # Once read, never again: not by the same command, and not by another export.
    assert command("train", "s").status == 0
    assert command("export", "runs/s/final").status == 0
    assert len(Path("runs/s/test_reads.jsonl").read_text().splitlines()) == 1
    report = command("export", "s", "-q")
    assert report.status == 0, report
    text = Path("runs/s/export/report.md").read_text()
    assert "## Confirmed" in text
    assert "## Trained in full" in text
    assert "The test images were read once" in text

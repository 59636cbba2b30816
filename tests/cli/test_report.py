"""`report`: its files, its JSON, and a run that is still training."""

from __future__ import annotations

import json
import os

from .conftest import make_run


def test_writes_a_page_and_words(command, tmp_path):
    make_run(tmp_path)
    outcome = command("report", "latest", "--runs-dir", tmp_path)
    folder = tmp_path / "trial-run" / "report"
    assert outcome.status == 0
    assert str(folder / "report.html") in outcome.out
    assert {path.name for path in folder.iterdir()} == {"report.html", "report.md"}
    assert "reloaded" not in (folder / "report.md").read_text()


def test_again_it_replaces_them(command, tmp_path):
    make_run(tmp_path)
    folder = tmp_path / "elsewhere"
    for _ in range(2):
        assert command("report", "latest", "--runs-dir", tmp_path, "--out", folder, "-q").status == 0
    assert {path.name for path in folder.iterdir()} == {"report.html", "report.md"}


def test_json_is_the_same_and_writes_nothing(command, tmp_path):
    run = make_run(tmp_path)
    outcome = command("report", "latest", "--runs-dir", tmp_path, "--json")
    document = json.loads(outcome.out)
    assert document["schema"] == "resnet-search/report/1"
    assert "What it cost" in [section["title"] for section in document["sections"]]
    assert not (run.path / "report").exists()


def test_json_is_not_for_files(command, tmp_path):
    make_run(tmp_path)
    outcome = command("report", "latest", "--runs-dir", tmp_path, "--json", "--out", tmp_path / "x")
    assert outcome.status == 2
    assert "--json" in outcome.err


def test_of_a_trial(command, tmp_path):
    run = make_run(tmp_path)
    folder = run.path / "report"
    assert command("report", "latest", "--runs-dir", tmp_path, "--trial", "3").status == 0
    assert [path.name for path in folder.iterdir()] == ["trial_0003"]
    assert "trial 0003" in (folder / "trial_0003" / "report.md").read_text()
    # The page about the search is another.
    assert command("report", "latest", "--runs-dir", tmp_path).status == 0
    before = (folder / "report.md").read_bytes(), (folder / "report.html").read_bytes()
    outcome = command("report", "latest", "--runs-dir", tmp_path, "--trial", "4", "-q")
    assert outcome.out.splitlines()[0] == str(folder / "trial_0004" / "report.html")
    assert ((folder / "report.md").read_bytes(), (folder / "report.html").read_bytes()) == before


def test_a_run_that_was_interrupted(command, tmp_path):
    run = make_run(tmp_path, stop_after=5)
    assert command("report", "latest", "--runs-dir", tmp_path).status == 0
    assert "not finished" in (run.path / "report" / "report.md").read_text()


def test_watch_ends_with_the_run(command, tmp_path, monkeypatch):
    run = make_run(tmp_path)
    slept = []
    lock = run.lock()
    lock.__enter__()

    def sleep(seconds: float) -> None:
        assert f'content="{seconds}"' in (run.path / "report" / "report.html").read_text()[:4000]
        slept.append(seconds)
        if len(slept) == 2:
            lock.__exit__(None, None, None)

    monkeypatch.setattr("resnet_search.cli.report.time.sleep", sleep)
    outcome = command("report", "latest", "--runs-dir", tmp_path, "--watch", "7")
    assert outcome.status == 0
    assert slept == [7, 7]
    assert 'http-equiv="refresh"' not in (run.path / "report" / "report.html").read_text()[:4000]


def test_a_folder_that_cannot_be_written(command, tmp_path):
    make_run(tmp_path)
    (tmp_path / "file").write_text("")
    outcome = command("report", "latest", "--runs-dir", tmp_path, "--out", tmp_path / "file" / "x")
    assert outcome.status == 2
    assert "--out" in outcome.err
    assert os.fspath(tmp_path / "file") in outcome.err

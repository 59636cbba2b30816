"""optuna-dashboard: served of a run, to this machine alone, and opened in Chromium.

The latter needs the machine's own Chromium and the `browser` extra. RESNET_SEARCH_SCREENSHOTS names a folder that keeps
what was seen.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from resnet_search.errors import TrackingError
from resnet_search.runs.trials import read_run
from resnet_search.trackers import dashboard
from resnet_search.trackers.dashboard import HOST, serving
from tests.cli.conftest import spawn
from tests.report.hostile import hostile_run, whole_run

from .conftest import told

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(autouse=True)
def _installed():
    pytest.importorskip("optuna_dashboard")


@contextmanager
def served(folder):
    with serving(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://{HOST}:{server.server_port}"
        server.shutdown()


def ask(address, path):
    with urllib.request.urlopen(address + path, timeout=60) as answer:  # noqa: S310 - of our own server
        return json.load(answer)


def test_it_shows_the_run_and_what_it_becomes(growing):
    growing.grow(12)
    with served(growing.folder) as address:
        (study,) = ask(address, "/api/studies")["study_summaries"]
        assert study["study_name"] == "growing"
        path = f"/api/studies/{study['study_id']}"
        before = ask(address, path)["trials"]
        growing.grow(10**6)
        states = {"Running"}
        while "Running" in states:
            time.sleep(0.1)
            after = ask(address, path)["trials"]
            states = {trial["state"] for trial in after}
        assert len(before) < len(after)
        assert states == {"Complete", "Pruned", "Fail"}


def test_two_show_the_same(finished):
    with served(finished) as one, served(finished) as two:
        assert ask(one, "/api/studies") == ask(two, "/api/studies")
        # One of them writes still, and both look at the journal every few seconds.
        while ask(one, "/api/studies/0")["trials"] != ask(two, "/api/studies/0")["trials"]:
            time.sleep(0.1)
    assert len(told(finished, "optuna")) == len({t.candidate for t in read_run(finished).trials.values()})


def test_a_port_that_is_taken_is_said(finished):
    with serving(finished, 0) as server, pytest.raises(TrackingError) as raised, serving(finished, server.server_port):
        pass
    assert f"--port: got {server.server_port}" in str(raised.value)
    assert "--port 0" in raised.value.cure


def test_a_missing_package_is_said(finished, monkeypatch):
    monkeypatch.setattr(dashboard, "find_spec", lambda _: None)
    with pytest.raises(TrackingError, match=r"pip install 'resnet-search\[dashboard\]'"), serving(finished, 0):
        pass


def test_a_run_that_cannot_be_mirrored_is_said(finished):
    (finished.path / "optuna").write_text("")
    with pytest.raises(TrackingError, match="whole"), serving(finished, 0):
        pass


def test_ctrl_c_is_how_it_ends(finished, tmp_path):
    process = spawn("dashboard", "whole", "--port", 0, cwd=tmp_path)
    assert process.stdout.readline().startswith("whole: http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.endswith("closed.\n")
    assert not err


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="the browser extra is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_api.sync_playwright() as play:
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        running = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


@pytest.mark.parametrize(("make", "name"), [(whole_run, "whole"), (hostile_run, "hostile")], ids=["whole", "hostile"])
def test_it_opens_in_a_browser(browser, tmp_path, make, name):
    folder = make(tmp_path).folder
    screenshots = Path(os.environ.get("RESNET_SEARCH_SCREENSHOTS") or tmp_path)
    screenshots.mkdir(parents=True, exist_ok=True)
    complaints = []
    with served(folder) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        # Drawn without a GPU, on a machine that may do other things: no limit on time is part of the test.
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        elsewhere = (address, "data:", "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(elsewhere) else complaints.append(asked.url))
        page.goto(f"{address}/dashboard/")
        page.get_by_text(name, exact=False).first.click()
        page.get_by_text("Best Trial").first.wait_for()
        for title in ("History", "Hyperparameter Importance", "Timeline", "Intermediate values"):
            page.get_by_text(title, exact=True).locator("visible=true").first.wait_for()
        plots = page.locator(".js-plotly-plot .main-svg")
        plots.first.wait_for()
        page.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg').length >= 6")
        page.screenshot(path=screenshots / f"dashboard-{name}.png", full_page=True)
        page.goto(f"{page.url.rstrip('/')}/trials")
        page.get_by_text("Trial 1", exact=True).locator("visible=true").first.wait_for()
        page.get_by_text("Intermediate Values").locator("visible=true").first.wait_for()
        page.screenshot(path=screenshots / f"dashboard-{name}-trials.png")
        assert page.evaluate("window.hacked") is None
        context.close()
    assert complaints == []

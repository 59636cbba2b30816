"""The report as a person meets it: opened in Chromium from its file, wide and on a phone, in the light and the dark.

Needs the machine's own Chromium and the `browser` extra; skips without. RESNET_SEARCH_SCREENSHOTS names a folder that
keeps what was seen.
"""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import pytest

from resnet_search.report.written import write_report

from .hostile import NAMES, hostile_run, whole_run
from .test_facts import Record, build

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser extra is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

WIDE, PHONE = 1280, 390
PLOTS = 9
# Whether the browser draws at all: a frame within 20 seconds.
DRAWS = """
new Promise(answer => {
    requestAnimationFrame(() => answer(true));
    setTimeout(() => answer(false), 20000);
})
"""


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as play:
        # Chromium's own sandbox does not start as root, as in most containers; the page is a file that we wrote.
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        yield lambda: play.chromium.launch(executable_path=CHROMIUM, args=arguments)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    return write_report(whole_run(tmp_path_factory.mktemp("runs")))[0]


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory) -> Path:
    """The report of a search with a confirmation, on networks with long names."""
    view = build(Record(confirmed="done"), tmp_path_factory.mktemp("runs"))
    for trial in view.trials.values():
        trial.name = "bottleneck29-w16-c2-d64-avgpool-se-r8"
    return write_report(view)[0]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    return write_report(hostile_run(tmp_path_factory.mktemp("runs")))[0]


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory) -> Path:
    folder = os.environ.get("RESNET_SEARCH_SCREENSHOTS")
    if not folder:
        return tmp_path_factory.mktemp("screenshots")
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


@pytest.fixture
def visit(chromium):
    """Open a page and draw its plots; what it says, raises, or asks the network for fails the test in the end."""
    complaints: list[str] = []
    browsers = []

    def open_once(path: Path, width: int, scheme: str):
        browsers.append(chromium())
        phone = width == PHONE
        context = browsers[-1].new_context(
            viewport={"width": width, "height": 844}, color_scheme=scheme, has_touch=phone, is_mobile=phone
        )
        # Drawn without a GPU, on a machine that may do other things: no limit on time is part of the test.
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: complaints.append(request.url) if request.url != page.url else None)
        page.goto(path.as_uri())
        # The page itself is a request of its own, made before its address is that of the page.
        complaints[:] = [line for line in complaints if line != path.as_uri()]
        try:
            draw(page)
        except sync_api.TimeoutError:
            if page.evaluate(DRAWS):
                raise
            warnings.warn(f"a browser stopped drawing {path.name} at {width}, {scheme}", stacklevel=2)
            return None
        return page

    def open_page(path: Path, width: int = WIDE, scheme: str = "light"):
        # A Chromium without a GPU once drew no frame for four minutes, at the plot in WebGL; why is not known. Each
        # page has a browser to itself and, with a warning, one more. What either complains of fails the test.
        page = open_once(path, width, scheme) or open_once(path, width, scheme)
        assert page is not None, "two browsers stopped drawing"
        return page

    yield open_page
    for browser in browsers:
        browser.close()
    assert complaints == []


def draw(page) -> None:
    """Go to each plot: it is drawn when it comes near."""
    for plot in page.locator(".plot").all():
        # Not by scrollIntoView: in Chromium 150 the next Tab starts from where that has led.
        plot.evaluate("node => scrollTo(0, scrollY + node.getBoundingClientRect().top)")
        plot.locator(".main-svg").first.wait_for(state="visible")
    page.evaluate("scrollTo(0, 0)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_every_plot_is_there(visit, report, screenshots, width, scheme):
    page = visit(report, width, scheme)
    drawn = page.locator(".plot").all()
    assert len(drawn) == PLOTS
    for plot in drawn:
        box = plot.bounding_box()
        assert box["height"] > 150
        assert plot.locator("svg path, svg rect, svg circle").count() > 5
    # Nothing sticks out: the page scrolls downwards alone.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=screenshots / f"report-{width}-{scheme}.png", full_page=True)


A4 = 680  # pixels between the margins of a page


def test_printed_tables_lose_no_column(visit, confirmed):
    """The verdict is the last column of the widest table."""
    page = visit(confirmed, A4)
    page.emulate_media(media="print")
    verdicts = page.locator("th", has_text="Against the best")
    assert verdicts.count() == 1
    for table in page.locator("table").all():
        box = table.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= A4 + 1, table.inner_text()[:200]
    clipped = "nodes => nodes.filter(node => getComputedStyle(node).overflowX !== 'visible').length"
    assert page.locator(".wide").evaluate_all(clipped) == 0


def test_plots_follow_the_reader_into_the_dark(visit, report):
    page = visit(report)
    plot = page.locator(".plot").first
    text = plot.locator("svg text").first
    light = text.evaluate("node => getComputedStyle(node).fill")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "([node, before]) => getComputedStyle(node.querySelector('svg text')).fill !== before",
        arg=[plot.element_handle(), light],
    )


def test_tables_sort_by_click_and_by_keyboard(visit, report):
    page = visit(report)
    table = page.locator("table.sortable", has_text="Multiply-adds of one image").first
    header = table.locator("th", has_text="Parameters")
    column = header.evaluate("node => [...node.parentNode.children].indexOf(node)")

    def cells() -> list[int]:
        texts = table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()
        return [int(text.replace(",", "")) for text in texts]

    before = cells()
    assert before != sorted(before)
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert cells() == sorted(before)
    header.locator("button").focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert cells() == sorted(before, reverse=True)
    other = table.locator("th").first
    other.locator("button").click()
    assert header.get_attribute("aria-sort") == "none"
    assert cells() == before


def test_what_a_point_is_is_said_on_hover(visit, report):
    page = visit(report)
    plot = page.locator("#figure-cost-params")
    plot.locator(".scatterlayer .points path").first.hover(force=True)
    shown = plot.locator(".hoverlayer .hovertext")
    shown.first.wait_for()
    assert "trial" in shown.first.text_content()


def test_terms_are_explained_on_hover_and_focus(visit, report):
    page = visit(report)
    term, tip = page.locator("a.term", has_text="candidates").first, page.locator("#tip")
    assert not tip.is_visible()
    term.hover()
    assert "architecture from the search space" in tip.inner_text()
    page.mouse.move(0, 0)
    assert not tip.is_visible()
    term.focus()
    assert tip.is_visible()
    assert term.get_attribute("aria-describedby") == "tip"
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_terms_are_explained_by_a_tap_and_stay_on_the_screen(visit, report):
    page = visit(report, PHONE)
    for at in range(min(8, page.locator("a.term").count())):
        page.locator("a.term").nth(at).tap()
        box = page.locator("#tip").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE
        # It may cover the next one.
        page.locator("#tip").tap()
        assert not page.locator("#tip").is_visible()


def test_the_keyboard_reaches_contents_and_report(visit, report):
    page = visit(report)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("nav a", has_text="Which axis matters").focus()
    page.keyboard.press("Enter")
    assert page.locator("h2", has_text="Which axis matters").bounding_box()["y"] < 300


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_hostile_names_are_text(visit, hostile, screenshots, width):
    page = visit(hostile, width)
    assert page.locator(".plot").count() == PLOTS
    assert page.evaluate("window.hacked") is None
    for name in NAMES[:4]:
        assert page.get_by_text(name).count() > 0
    # Plotly makes links, bold and italics of some tags in its labels.
    assert page.locator(".main-svg a, .main-svg tspan[style*=bold]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#figure-cost-params .scatterlayer .points path").first.hover(force=True)
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=screenshots / f"hostile-{width}.png", full_page=True)


@pytest.mark.slow
def test_a_run_of_five_thousand_trials_opens(visit, tmp_path, screenshots):
    view = whole_run(tmp_path, max_epochs=81, iterations=24)
    assert len(view.trials) > 4900
    page_path, _ = write_report(view)
    assert page_path.stat().st_size < 8_000_000
    page = visit(page_path)
    assert page.locator(".plot").count() == PLOTS
    page.screenshot(path=screenshots / "large-1280.png", full_page=True)

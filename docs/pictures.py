"""The pictures of the documentation, made from the program itself and from a run.

    pip install -e '.[bench,browser]'
    resnet-search run --space quickstart --name quickstart
    python docs/pictures.py [--run runs/quickstart] [--out docs/images]

`hyperband.svg` is drawn from the plan; `terminal.svg` is what commands print on a terminal of 80 columns, which is run
for it; `report.png` is the top of the run's report in the machine's own Chromium. Without a run the latter two are left
out, and said to be.
"""

from __future__ import annotations

import argparse
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from rich.console import Console
from rich.text import Text

from resnet_search.spaces.brackets import hyperband
from resnet_search.spaces.schema import Hyperband

COLUMNS = 80
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # of Okabe and Ito; each bracket is named, too
INK = "#222222"
LOOK = {
    "svg.fonttype": "none",  # text, not outlines
    "svg.hashsalt": "resnet-search",  # the same names inside the file each time
    "font.family": "sans-serif",
    "font.size": 11,
    "figure.constrained_layout.use": True,
}
# Without rich's own, which loads its font from the network.
SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def draw_plan(out: Path) -> None:
    """The brackets of the default plan: a rectangle for each rung, as high as its trials, as wide as its epochs."""
    settings = Hyperband()
    brackets = hyperband(settings.max_epochs, settings.factor, settings.iterations)
    with plt.rc_context(LOOK):
        # Opaque and light, so that it can be read on a dark page too.
        figure, panels = plt.subplots(1, len(brackets), figsize=(9.6, 3.6), sharey=True, facecolor="white")
        for bracket, panel, colour in zip(brackets, panels, COLOURS, strict=True):
            for rung in bracket.rungs:
                wide = rung.epochs - rung.initial_epoch
                look = {"color": colour, "alpha": 0.75, "edgecolor": "white"}
                panel.bar(rung.initial_epoch, rung.size, wide, align="edge", **look)
                middle = rung.initial_epoch + wide / 2
                panel.annotate(
                    f"{rung.size}", (middle, rung.size), (0, 2), textcoords="offset points", ha="center", color=INK
                )
            panel.set_title(f"bracket {bracket.number}\n{bracket.trials} trials, {bracket.epochs} epochs", fontsize=11)
            panel.set_xlim(-1.5, settings.max_epochs)
            panel.set_xticks([rung.epochs for rung in bracket.rungs])
            panel.set_xlabel("epoch")
            panel.tick_params(axis="x", labelsize=9)
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("networks")
        figure.savefig(out / "hyperband.svg", metadata={"Date": None})
        plt.close(figure)


def typed(words: list[str], folder: Path) -> str:
    """What a command prints on a terminal, its colours included."""
    parent, child = pty.openpty()
    size = {"COLUMNS": f"{COLUMNS}", "LINES": "40", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    kept = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "resnet_search", *words], cwd=folder, stdout=child, stderr=child, stdin=child,
        env={**kept, **size},
    )  # fmt: skip
    os.close(child)
    read = b""
    while True:
        try:
            more = os.read(parent, 65_536)
        except OSError:  # Linux says so when the last writer has gone.
            break
        if not more:
            break
        read += more
    if process.wait() != 0:
        sys.exit(read.decode())
    return read.decode().replace("\r\n", "\n")


def record(run: Path, out: Path) -> None:
    """A session on a terminal: the plan, what was found, and the network that won."""
    console = Console(record=True, width=COLUMNS, file=Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    # The plan as it is before there is a run to measure by.
    session = ((["plan", "--space", "quickstart"], out), (["trials", run.name, "--top", "6"], run.parent.parent))
    for words, folder in session:
        console.print(Text.assemble(("$ ", "bold green"), (f"resnet-search {' '.join(words)}", "bold")))
        console.print(Text.from_ansi(typed(words, folder)), soft_wrap=True)
    (out / "terminal.svg").write_text(
        console.export_svg(title="resnet-search", code_format=SVG, unique_id="terminal"), encoding="utf-8"
    )


def photograph(run: Path, out: Path) -> None:
    """A screen of the report, as a reader with a light page sees it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
        page.goto((run / "report" / "report.html").resolve().as_uri())
        # A plot is drawn when it comes into view.
        page.evaluate("document.querySelector('#the-brackets-as-a-picture').scrollIntoView()")
        page.locator("#figure-halving .main-svg").first.wait_for()
        page.screenshot(path=out / "report.png")
        browser.close()


def main() -> None:
    """Make what there is everything for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    draw_plan(given.out)
    if not (given.run / "run.json").is_file():
        print(f"{given.run} is no run: terminal.svg and report.png are left out")
        return
    record(given.run, given.out)
    photograph(given.run, given.out)


if __name__ == "__main__":
    main()

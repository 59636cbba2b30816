"""The charts of benchmarks/README.md, from the results that are committed beside it.

    pip install -e '.[bench]'
    python benchmarks/charts.py [--results benchmarks/results] [--out docs/images]

A chart whose results are not there is left out, and said to be. The same results give the same files. Text stays text;
the ground is light, so that the charts can be read on a dark page too; the colours are those of Okabe and Ito, which
readers with any colour vision tell apart, and lines have dash patterns of their own besides.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from resnet_search.files import read_lines

HERE = Path(__file__).parent
BLUE, GREEN, ORANGE, INK = "#0072b2", "#009e73", "#d55e00", "#222222"
STYLES = {
    "resnet-search": (BLUE, "solid"),
    "resnet-search, model": (GREEN, "dashdot"),
    "random search": (INK, "dotted"),
    "Keras Tuner": (ORANGE, "dashed"),
}
DASHES: tuple[Any, ...] = (":", "-.", "--", (0, (8, 1)), "-")
WORKERS = (1, 4, 16, 64, 256, 1024, 4096)
LOOK = {
    "svg.fonttype": "none",  # text, not outlines
    "svg.hashsalt": "resnet-search",  # the same names inside the file each time
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#dddddd",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 2,
    "figure.figsize": (7.2, 4.0),
    "figure.constrained_layout.use": True,
}


def regret(path: Path) -> Any:
    """Mean regret of each search against epochs, with its 95 % interval."""
    results = json.loads(path.read_text(encoding="utf-8"))
    figure, axes = plt.subplots()
    for name, columns in results["methods"].items():
        colour, dashes = STYLES[name]
        rows = list(zip(*(columns[key] for key in ("mean", "low", "high")), strict=True))
        # Where it changes, and its end.
        kept = [place for place, row in enumerate(rows) if None not in row and row != (rows[place - 1] if place else 0)]
        kept.append(len(rows) - 1)
        epochs = [place + 1 for place in kept]
        mean, low, high = ([100 * rows[place][column] for place in kept] for column in range(3))
        axes.step(epochs, mean, where="post", color=colour, linestyle=dashes, label=name)
        axes.fill_between(epochs, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
    for number in range(1, results["iterations"] + 1):
        axes.axvline(number * results["one_pass"], color="#999999", linewidth=1)
    axes.set_xlim(1, results["iterations"] * results["one_pass"])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("epochs trained in all; a grey line is the end of a pass of Hyperband")
    axes.set_ylabel("regret, points of accuracy")
    axes.set_title(f"Mean regret of {results['seeds']} searches, 95 % interval", fontsize=11)
    axes.legend(frameon=False)
    return figure


def driver(path: Path) -> Any:
    """Milliseconds that the driver spends on a trial, against trials so far."""
    lines = [line for line in json.loads(path.read_text(encoding="utf-8"))["measured"] if "step" in line]
    figure, axes = plt.subplots()
    for step, colour in (("create", BLUE), ("tell", ORANGE)):
        of_step = sorted((line for line in lines if line["step"] == step), key=lambda line: line["trials"])
        trials = [line["trials"] for line in of_step]
        for key, dashes, words in (("median_ms", "-", ""), ("median_ms_without_fsync", "--", ", without fsync")):
            axes.plot(trials, [line[key] for line in of_step], dashes, color=colour, marker="o", label=step + words)
    axes.axhline(3, color="#999999", linewidth=1)
    axes.annotate("target: 3 ms", (0.01, 2.95), xycoords=("axes fraction", "data"), va="top", fontsize=10)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("trials so far")
    axes.set_ylabel("milliseconds a trial, median")
    axes.set_title("What the driver does for each trial, with 64 workers", fontsize=11)
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    return figure


def scaling(path: Path) -> Any:
    """Wall time of a search against workers: each search a dot, a line through the medians."""
    lines = read_lines(path)
    figure, axes = plt.subplots(figsize=(5.0, 3.6))
    counts = sorted({line["workers"] for line in lines})
    seconds = [sorted(line["seconds"] for line in lines if line["workers"] == count) for count in counts]
    middle = [(times[(len(times) - 1) // 2] + times[len(times) // 2]) / 2 for times in seconds]
    axes.plot(counts, middle, color=BLUE, label="median")
    axes.plot(
        [line["workers"] for line in lines], [line["seconds"] for line in lines], "o", color=ORANGE, label="a search"
    )
    axes.set_xticks(counts)
    axes.margins(x=0.1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"workers, which divide {lines[0]['processors']} cores")
    axes.set_ylabel("seconds, the start included")
    axes.set_title(f"The same search of {lines[0]['trials']} trials", fontsize=11)
    axes.legend(frameon=False, loc="lower left")
    return figure


def utilisation(path: Path) -> Any:
    """Share of the time that workers are busy against their number, a line for each plan."""
    lines = [line for line in read_lines(path) if line["promotion"] == "sync"]
    figure, axes = plt.subplots()
    for planned, dashes in zip(sorted({line["planned"] for line in lines}), DASHES, strict=False):
        of_plan = sorted((line for line in lines if line["planned"] == planned), key=lambda line: line["workers"])
        workers, busy = ([line[key] for line in of_plan] for key in ("workers", "utilisation"))
        words = f"{planned:,} trials"
        axes.plot(workers, [100 * share for share in busy], color=BLUE, linestyle=dashes, marker="o", label=words)
    axes.axhline(90, color="#999999", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.set_xticks(WORKERS, [f"{number:,}" for number in WORKERS])
    axes.set_ylim(0, 102)
    axes.set_xlabel("workers")
    axes.set_ylabel("% of the time that workers train")
    axes.set_title("How busy workers are, by the trials of the plan (simulated)", fontsize=11)
    figure.legend(frameon=False, loc="outside lower center", ncols=3)
    return figure


def promotion(path: Path) -> Any:
    """Mean regret of both rules of promotion against hours, for the most workers of each number of iterations."""
    lines = read_lines(path)
    most: dict[int, int] = {}
    for line in lines:
        most[line["iterations"]] = max(line["workers"], most.get(line["iterations"], 0))
    figure, axes = plt.subplots()
    for line in lines:
        if line["workers"] != most[line["iterations"]]:
            continue
        colour, dashes = (ORANGE, "--") if line["promotion"] == "async" else (BLUE, "-")
        words, width = f"{line['promotion']}, {line['trials']:,.0f} trials", 2 if line["iterations"] == min(most) else 1
        regret = [100 * value for value in line["regret"]]
        axes.plot(line["times_hours"], regret, dashes, color=colour, linewidth=width, label=words)
    axes.set_yscale("log")
    axes.set_ylim(0.3, 100)
    axes.set_yticks([0.3, 1, 3, 10, 30, 100], ["0.3", "1", "3", "10", "30", "100"])
    axes.set_xlim(left=0)
    axes.set_xlabel("hours")
    axes.set_ylabel("regret, points of accuracy")
    title = f"Mean regret with {max(most.values())} workers, {lines[0]['seeds']} searches each (simulated)"
    axes.set_title(title, fontsize=11)
    figure.legend(frameon=False, loc="outside lower center", ncols=4)
    return figure


CHARTS = {
    "regret": (regret, "search_quality.json"),
    "driver": (driver, "driver.json"),
    "scaling": (scaling, "scaling.jsonl"),
    "utilisation": (utilisation, "simulation_utilisation.jsonl"),
    "promotion": (promotion, "simulation_promotion.jsonl"),
}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "images")
    arguments = parser.parse_args()
    plt.switch_backend("svg")
    plt.rcParams.update(LOOK)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, (chart, file) in CHARTS.items():
        path = arguments.results / file
        if not path.exists():
            print(f"{name}: left out, there is no {path}")
            continue
        figure = chart(path)
        figure.savefig(arguments.out / f"{name}.svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
        print(arguments.out / f"{name}.svg")


if __name__ == "__main__":
    main()

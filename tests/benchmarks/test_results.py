"""What is committed under benchmarks/results: whole, of one table, and shown with words."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path

from resnet_search.spaces.plan import make_plan

quality = import_module("benchmarks.search_quality")

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_results_belong_together():
    """The table has every architecture of its space; the results are of this table."""
    table = quality.Table.read(quality.RESULTS / "curves.json")
    assert set(table.curves) == {architecture.name for architecture in table.space.feasible().architectures}
    assert {len(curve) for curve in table.curves.values()} == {table.epochs}
    results = json.loads((quality.RESULTS / "search_quality.json").read_text())
    assert results["best"] == table.best
    assert results["one_pass"] == make_plan(table.space).epochs
    found = quality.regrets(table, quality.play(table, "random search", results["seeds"], results["iterations"]), 9)
    assert results["methods"]["random search"]["mean"][:9] == quality.summary(found)["mean"]


def test_pictures_have_words_for_those_who_do_not_see_them():
    page = (ROOT / "benchmarks" / "README.md").read_text()
    shown = re.findall(r"!\[([^\]]*)\]\(\.\./docs/images/(\w+)\.svg\)", page)
    assert {name for _, name in shown} >= {"regret"}
    assert all(len(words) > 40 for words, _ in shown)

"""The architecture of the package itself: who imports whom, what is heavy, what is declared, what the README says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "resnet_search"
# From the roof down: a wing imports those behind it alone. A module of a wing may import its own wing.
WINGS = ["cli", "export", "report", "search", "trackers", "runs", "spaces", "workers", "training", "networks"]
GROUND = {"errors", "files"}
# What stands before the bar: it may not load a training library, whatever it imports.
LIGHT = [
    "errors", "files", "cli.main", "cli.reference", "report.content", "report.markdown", "runs.folder", "runs.events",
    "runs.trials", "runs.doctor", "runs.speed", "spaces", "spaces.plan", "spaces.brackets", "workers.contract",
    "training.recipe", "training.job", "training.datasets", "networks.architecture", "networks.complexity",
    "networks.imagenet", "training.weights",
]  # fmt: skip


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path) -> set[str]:
    """Dotted names that a module imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    wing = path.relative_to(PACKAGE).parts[0]
    if wing not in WINGS:
        return
    allowed = set(WINGS[WINGS.index(wing) :]) | GROUND
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "resnet_search" and len(parts) > 1:
            assert parts[1] in allowed, f"{wing} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_one_thing(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_click_and_rich_are_in_cli_alone(path):
    if path.relative_to(PACKAGE).parts[0] != "cli":
        assert not {name.split(".")[0] for name in imports(path)} & {"click", "rich"}


def test_light_modules_stay_light():
    """In one process: none of them loads a training library."""
    program = (
        f"import importlib, sys\nfor name in {LIGHT!r}: importlib.import_module('resnet_search.' + name)\n"
        "print([name for name in ('tensorflow', 'keras', 'keras_tuner', 'tensorflow_datasets', 'jax', 'scipy', 'PIL')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_import_is_declared_with_a_lower_bound():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {}
    for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
        name = re.match(r"[A-Za-z0-9_.-]+", requirement)
        assert name is not None
        if name[0] != "resnet-search":
            assert ">=" in requirement, requirement
        declared[name[0].lower().replace("_", "-")] = requirement
    distributions = packages_distributions()
    files = [*modules(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    used = {name.split(".")[0] for path in files for name in imports(path)}
    for name in used - set(sys.stdlib_module_names) - {"resnet_search", "tests", "benchmarks", "__future__"}:
        known = {d.lower().replace("_", "-") for d in distributions.get(name, [name])}
        assert known & set(declared), f"{name} is imported and not declared"


def test_ci_runs_the_readmes_test_command():
    commands = re.findall(r"```sh\n(python3 -m venv [^\n]+)\n```", (ROOT / "README.md").read_text())
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_links_in_the_documentation_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]:
        text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_python_api_has_what_it_names():
    import resnet_search

    page = (ROOT / "docs" / "python.md").read_text()
    for name in resnet_search.__all__:
        assert getattr(resnet_search, name).__doc__, name
        assert name in page, name
    with pytest.raises(AttributeError, match="nonsense"):
        _ = resnet_search.nonsense

"""The architecture of the package itself: who imports whom, what is heavy, what is declared, what the README says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "resnet_search"
# From the roof down: a wing imports those behind it alone. A module of a wing may import its own wing.
WINGS = ["cli", "export", "report", "search", "trackers", "runs", "spaces", "workers", "training", "networks"]
GROUND = {"errors", "files", "keras_settings", "lines", "processes", "reading"}
# What stands before the bar: it may not load a training library, whatever it imports.
LIGHT = [
    "errors", "files", "cli.main", "cli.reference", "report.content", "report.markdown", "runs.folder", "runs.events",
    "runs.trials", "runs.doctor", "runs.speed", "spaces", "spaces.plan", "spaces.brackets", "workers.contract",
    "training.recipe", "training.job", "training.datasets", "networks.architecture", "networks.complexity",
    "networks.imagenet", "training.weights",
]  # fmt: skip


# An import that goes up, and modules that import each other: to be undone, and not to be added to.
UPWARD = {("report.written", "__init__")}
CIRCLES = {
    frozenset({"networks.architecture", "networks.rules"}),
    frozenset({"workers.connect", "workers.devices"}),
    frozenset(f"training.datasets.{name}" for name in ("__init__", "count", "source", "tfds_source")),
}
LONGEST = 450  # lines


def modules() -> dict[str, Path]:
    """The modules of the package, by their names below it."""
    paths = (path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(paths)}


def imports(path: Path) -> set[str]:
    """Dotted names that a module imports anywhere in it; `from package import name` gives `package.name`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = node.module or ""
            if node.level:
                folder = path.parents[node.level - 1].relative_to(ROOT)
                package = ".".join([*folder.parts, *filter(None, [node.module])])
            names |= {package, *(f"{package}.{alias.name}" for alias in node.names)}
    return names


@cache
def imported() -> dict[str, set[str]]:
    """For each module of the package the others that it imports, by their names below the package."""
    known = modules()
    names = {module: {name.removeprefix("resnet_search.") for name in imports(path)} for module, path in known.items()}
    packages = {module.removesuffix(".__init__"): module for module in known} | {"resnet_search": "__init__"}
    return {module: {packages[name] for name in found & packages.keys()} - {module} for module, found in names.items()}


def test_imports_are_seen_in_every_form(tmp_path):
    package = PACKAGE / "cli"
    path = tmp_path / "module.py"
    path.write_text("import a.b\nfrom a import c\ndef f():\n    from d.e import g\n")
    assert imports(path) == {"a.b", "a", "a.c", "d.e", "d.e.g"}
    module = package / "not_there.py"
    relative = mock.Mock(parents=module.parents, read_text=lambda encoding: "from . import x\nfrom ..errors import y")
    assert imports(relative) == {
        "resnet_search.cli", "resnet_search.cli.x", "resnet_search.errors", "resnet_search.errors.y",
    }  # fmt: skip


def test_imports_go_down():
    """A wing imports itself, those behind it and the ground; the ground imports the ground."""
    upward = set()
    for module, names in imported().items():
        wing = module.partition(".")[0]
        if wing in {"__init__", "__main__"}:
            continue
        allowed = {*WINGS[WINGS.index(wing) :], *GROUND} if wing in WINGS else GROUND
        upward |= {(module, name) for name in names if name.partition(".")[0] not in allowed}
    assert upward == UPWARD


def test_modules_do_not_import_each_other():
    """Anywhere in them: a circle through a function is one."""
    reachable = {module: set(names) for module, names in imported().items()}
    for middle, onward in reachable.items():
        for names in reachable.values():
            if middle in names:
                names.update(onward)
    circles = {
        frozenset(other for other in names if module in reachable[other])
        for module, names in reachable.items()
        if module in names
    }
    assert circles == CIRCLES


def test_a_module_is_one_thing():
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in modules().items()}
    assert {module: lines for module, lines in lengths.items() if lines > LONGEST} == {}


def test_click_and_rich_are_in_cli_alone():
    elsewhere = {module: imports(path) for module, path in modules().items() if not module.startswith("cli.")}
    assert [module for module, names in elsewhere.items() if names & {"click", "rich"}] == []


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
    files = [*modules().values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    used = {name.split(".")[0] for path in files for name in imports(path)}
    undeclared = set()
    for name in used - set(sys.stdlib_module_names) - {"", "resnet_search", "tests", "benchmarks", "__future__"}:
        known = {d.lower().replace("_", "-") for d in distributions.get(name, [name])}
        if not known & set(declared):
            undeclared.add(name)
    assert undeclared == set()


def test_ci_runs_the_readmes_test_command():
    commands = re.findall(r"```sh\n(python3 -m venv [^\n]+)\n```", (ROOT / "README.md").read_text())
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_python_api_has_what_it_names():
    import resnet_search

    page = (ROOT / "docs" / "python.md").read_text()
    for name in resnet_search.__all__:
        assert getattr(resnet_search, name).__doc__, name
        assert name in page, name
    with pytest.raises(AttributeError, match="nonsense"):
        _ = resnet_search.nonsense

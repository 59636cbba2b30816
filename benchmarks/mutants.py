"""Mutation testing of the core modules: change one place, run the tests that mirror the module, expect a failure.

    python benchmarks/mutants.py                        # a seeded sample over all targets, in at most 20 minutes
    python benchmarks/mutants.py search/rungs --all     # every mutant of one module
    python benchmarks/mutants.py files --only 17        # one mutant, with the output of its tests

A mutant that survives is a hole in the tests, or equivalent: no test can tell it from the original. Equivalent mutants
are listed with the reason in `equivalent_mutants.toml`. The exit status is 1 if another one survives.

Written for this project, since mutmut 3 runs a copy of the package that its own tests of layout and imports refuse, and
cosmic-ray starts a new interpreter for each mutant, which takes longer than the tests. Here each mutant is a fork of a
process that has imported pytest and the libraries, but nothing of the package.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import random
import signal
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "resnet_search"
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")
SAMPLE = 480  # mutants, without --all
SEED = 0

# Each core module and the tests that must notice a change of it, the fast ones first: the first failure ends a mutant.
TARGETS = {
    "files": ["test_files.py"],
    "networks/rules": ["networks/test_rules.py", "networks/test_architecture.py"],
    "networks/complexity": ["networks/test_complexity.py"],
    "training/recipe": ["training/test_recipe.py"],
    "training/augmentation": ["training/test_augmentation.py"],
    "training/optimizer": ["training/test_optimizer.py"],
    "training/memory": ["training/test_memory.py"],
    "training/datasets/decode": ["training/datasets/test_decode.py"],
    "training/checkpoint": ["training/test_checkpoint.py"],
    "report/statistics": ["report/test_statistics.py"],
    "runs/trials": ["runs/test_trials.py", "runs/test_planned.py"],
    "runs/folder": ["runs/test_folder.py"],
    "runs/doctor": ["runs/test_doctor.py"],
    "spaces/brackets": ["spaces/test_brackets.py"],
    "spaces/feasible": ["spaces/test_feasible.py"],
    "search/candidates": ["search/test_candidates.py"],
    "search/rungs": ["search/test_rungs.py"],
    "search/schedule": ["search/test_schedule.py"],
    "search/oracle": ["search/test_oracle.py"],
    "search/reuse": ["search/test_reuse.py"],
    "search/resume": ["search/test_resume.py"],
    "search/loop": ["search/test_loop.py", "search/test_budget.py", "search/test_loop_cluster.py"],
    "workers/local": ["workers/test_local.py"],
    "export/verify": ["export/test_verify.py"],
}


@dataclass(frozen=True)
class Mutant:
    """One change. `where` is the function or class it is in, `nth` tells equal changes in one place apart."""

    module: str
    number: int
    line: int
    where: str
    before: str
    after: str
    nth: int
    code: CodeType

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        return self.module, self.where, self.before, self.after, self.nth

    def __str__(self) -> str:
        nth = f" (no. {self.nth})" if self.nth else ""
        return f"{self.module}:{self.line} #{self.number} {self.where}: {self.before} -> {self.after}{nth}"


_COMPARE = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Add,
    ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr, ast.RShift: ast.LShift, ast.LShift: ast.RShift,
}  # fmt: skip
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "reversed": "list"}


def _changes(node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901, PLR0912 - a case for each kind of node
    """Wrong versions of a node, each a changed copy."""

    def changed(**fields: Any) -> ast.AST:
        other = copy.deepcopy(node)
        for name, value in fields.items():
            setattr(other, name, value)
        return other

    match node:
        case ast.Compare(ops=[op]) if type(op) in _COMPARE:
            yield changed(ops=[_COMPARE[type(op)]()])
        case ast.Compare(ops=[first, second]):
            yield changed(ops=[_COMPARE[type(first)](), second])
            yield changed(ops=[first, _COMPARE[type(second)]()])
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _OPERATORS:
            yield changed(op=_OPERATORS[type(op)]())
        case ast.BoolOp(op=op):
            yield changed(op=ast.And() if isinstance(op, ast.Or) else ast.Or())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield copy.deepcopy(node.operand)
        case ast.IfExp():
            yield changed(body=node.orelse, orelse=node.body)
        case ast.If() | ast.While():
            yield changed(test=ast.UnaryOp(ast.Not(), node.test))
        case ast.Constant(value=bool()):
            yield changed(value=not node.value)
        case ast.Constant(value=int() | float()):
            yield changed(value=node.value + 1)
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
            yield changed(func=ast.Name(_CALLS[name], ast.Load()))
        case ast.Expr(value=ast.Call() | ast.YieldFrom()) | ast.Delete() | ast.Assert():
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield changed(value=ast.Constant(None))


def _places(
    node: ast.AST, where: str = "", path: tuple[Any, ...] = ()
) -> Iterator[tuple[ast.AST, str, tuple[Any, ...]]]:
    """Every node of a tree that may be changed. Left out: annotations and their imports, docstrings, and messages."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        where = f"{where}.{node.name}".lstrip(".")
    yield node, where, path
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list", "type_params"} or isinstance(
            node, ast.Raise | ast.JoinedStr
        ):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield from _places(child, where, (*path, (field, index)))


def _replaced(tree: ast.Module, path: tuple[Any, ...], new: ast.AST) -> ast.Module:
    other = copy.deepcopy(tree)
    holder: Any = other
    for field, index in path[:-1]:
        holder = getattr(holder, field) if index is None else getattr(holder, field)[index]
    field, index = path[-1]
    if index is None:
        setattr(holder, field, new)
    else:
        getattr(holder, field)[index] = new
    return ast.fix_missing_locations(other)


def mutants(module: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    path = PACKAGE / f"{module}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    made: list[Mutant] = []
    alike: Counter[tuple[str, ...]] = Counter()
    for node, where, place in _places(tree):
        for new in _changes(node):
            ast.copy_location(new, node)
            before, after = (ast.unparse(ast.fix_missing_locations(one)).partition("\n")[0] for one in (node, new))
            code = compile(_replaced(tree, place, new), str(path), "exec")
            key = (where, before, after)
            made.append(Mutant(module, len(made), node.lineno, where, before, after, alike[key], code))  # type: ignore[attr-defined]
            alike[key] += 1
    return made


class _Planted(MetaPathFinder):
    """Imports one module with the code of a mutant."""

    def __init__(self, mutant: Mutant) -> None:
        self.name, self.mutant = f"resnet_search.{mutant.module.replace('/', '.')}", mutant

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        source = str(PACKAGE / f"{self.mutant.module}.py")
        loader = SourceFileLoader(fullname, source)
        loader.get_code = lambda _: self.mutant.code  # type: ignore[method-assign,assignment,misc]
        return spec_from_file_location(fullname, source, loader=loader)


def _test(module: str, mutant: Mutant | None, *, aloud: bool = False) -> int:
    """Run the tests of a module in this process, a fork that ends with their exit status."""
    import pytest

    os.setsid()
    if not aloud:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
    if mutant is not None:
        sys.meta_path.insert(0, _Planted(mutant))
    tests = [str(ROOT / "tests" / name) for name in TARGETS[module]]
    return int(pytest.main(["-q", "-x", "-n0", "-p", "no:cacheprovider", "--no-header", "--tb=short", *tests]))


@dataclass
class Attempt:
    """A fork that tests one mutant, or none."""

    module: str
    mutant: Mutant | None
    patience: float
    aloud: bool = False

    def __post_init__(self) -> None:
        self.begun = time.monotonic()
        self.seconds = 0.0
        self.pid = os.fork()
        if self.pid == 0:
            status = 70
            try:
                status = _test(self.module, self.mutant, aloud=self.aloud)
            finally:
                os._exit(status)

    def outcome(self) -> str:
        """Killed, survived, or slow: killed by the clock; empty while it runs."""
        self.seconds = time.monotonic() - self.begun
        done, status = os.waitpid(self.pid, os.WNOHANG)
        if done:
            return "survived" if status == 0 else "killed"
        if self.seconds < self.patience:
            return ""
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return "slow"


def attempts(wanted: Iterator[Attempt], jobs: int) -> Iterator[tuple[Attempt, str]]:
    """Each attempt with its outcome, so many at a time. `wanted` starts one when it is asked for it."""
    running: list[Attempt] = []
    while True:
        while len(running) < jobs and (attempt := next(wanted, None)) is not None:
            running.append(attempt)
        if not running:
            return
        time.sleep(0.02)
        for attempt in list(running):
            if outcome := attempt.outcome():
                running.remove(attempt)
                yield attempt, outcome


def equivalent() -> dict[tuple[str, str, str, str, int], str]:
    """The listed mutants and why no test can notice them."""
    listed = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))
    return {
        (module, one["where"], one["before"], one["after"], one.get("nth", 0)): one["because"]
        for module, several in listed.items()
        for one in several
    }


def choose(modules: Sequence[str], count: int | None) -> list[Mutant]:
    """All mutants of some modules, or a seeded sample with the same share of each."""
    every = {module: mutants(module) for module in modules}
    total = sum(map(len, every.values()))
    if count is None or count >= total:
        return [one for several in every.values() for one in several]
    chance = random.Random(SEED)
    return [
        one
        for several in every.values()
        for one in sorted(chance.sample(several, -(-len(several) * count // total)), key=lambda one: one.number)
    ]


def main() -> int:
    """Try mutants; print those that survive, and a table by module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"default: all of {', '.join(TARGETS)}")
    parser.add_argument("--all", action="store_true", help=f"every mutant in place of a sample of {SAMPLE}")
    parser.add_argument("--list", action="store_true", help="list the mutants, try none")
    parser.add_argument("--only", type=int, metavar="N", help="one mutant of one module, with the output of its tests")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table here")
    args = parser.parse_args()
    modules = args.modules or list(TARGETS)
    chosen = choose(modules, None if args.all or args.modules else SAMPLE)
    if args.list:
        print(*chosen, sep="\n")
        return 0
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import h5py, hypothesis, keras_tuner, pytest, scipy.stats  # noqa: E401, F401, I001 - imported before the forks

    if args.only is not None:
        alone = Attempt(modules[0], chosen[args.only], 600.0, aloud=True)
        print(*(outcome for _, outcome in attempts(iter([alone]), 1)))
        return 0
    patience = {}
    for attempt, outcome in attempts((Attempt(module, None, 600.0) for module in modules), args.jobs):
        if outcome != "survived":
            print(f"{attempt.module}: its tests fail without a mutant")
            return 2
        patience[attempt.module] = 15.0 + 4 * attempt.seconds
    listed = equivalent()
    table: dict[str, Counter[str]] = {module: Counter() for module in modules}
    started = (Attempt(mutant.module, mutant, patience[mutant.module]) for mutant in chosen)
    for attempt, outcome in attempts(started, args.jobs):
        mutant = attempt.mutant
        if outcome == "survived" and mutant is not None and mutant.key in listed:
            outcome = "equivalent"  # noqa: PLW2901
        table[attempt.module][outcome] += 1
        if outcome == "survived":
            print(f"survived  {mutant}", flush=True)
    print(f"{'module':24}{'mutants':>9}{'killed':>9}{'slow':>9}{'equivalent':>12}{'survived':>10}")
    for module, counts in [*table.items(), ("total", sum(table.values(), Counter()))]:
        cells = (counts[name] for name in ("killed", "slow", "equivalent", "survived"))
        print(f"{module:24}{counts.total():>9}{'{:>9}{:>9}{:>12}{:>10}'.format(*cells)}")
    if args.json:
        args.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return int(any(counts["survived"] for counts in table.values()))


if __name__ == "__main__":
    sys.exit(main())

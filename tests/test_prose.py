"""No test holds the program to its sentences: the golden screens have them, and all other tests assert facts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# Long literals that are no sentences of this program: commands, tables and layouts, and the words of libraries.
NO_SENTENCES = (
    "resnet-search ", "--workers ray://", "| a ", "# Title", "1,000 validation images | ",
    "inputs['images'] tensor_info",
    "outputs['probabilities'] tensor_info", "search, he, wrn", "RuntimeError: the device has no memory left",
    "broken data stream when reading", "--precision: got 'bfloat16', which",
)  # fmt: skip
# A literal with so many characters and spaces is a sentence.
CHARACTERS = 40
SPACES = 5
# What these are given is compared with; what other calls are given is not.
COMPARING = {
    *("startswith", "endswith", "count", "index", "find", "rfind", "split", "partition", "refused"),
    *("search", "match", "fullmatch", "findall"),
}

TESTS = Path(__file__).resolve().parent


def name_of(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def parts(node: ast.AST) -> Iterator[ast.AST]:
    """What an expression consists of, without what it only gives to other functions."""
    given = [*node.args, *node.keywords] if isinstance(node, ast.Call) and name_of(node) not in COMPARING else []
    yield from (part for part in ast.iter_child_nodes(node) if part not in given)


def literals(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts that an expression compares with, and their lines."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
    elif isinstance(node, ast.JoinedStr):
        yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    else:
        for part in parts(node):
            yield from literals(part)


def names(node: ast.AST) -> set[str]:
    """The variables that an expression compares with."""
    return {node.id} if isinstance(node, ast.Name) else {name for part in parts(node) for name in names(part)}


def asserted(node: ast.AST) -> set[str]:
    """The variables that a function or a loop asserts something of."""
    return {
        name
        for part in ast.walk(node)
        if isinstance(part, ast.Assert) or (isinstance(part, ast.Call) and name_of(part) in COMPARING)
        for name in names(part.test if isinstance(part, ast.Assert) else part)
    }


def columns(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The values of parametrised arguments that the function asserts something of."""
    for call in function.decorator_list:
        if not isinstance(call, ast.Call) or name_of(call) != "parametrize" or not isinstance(call.args[1], ast.List):
            continue
        arguments = ast.literal_eval(call.args[0])
        for row in call.args[1].elts:
            several = isinstance(arguments, tuple) and isinstance(row, ast.Tuple)
            values = zip(arguments, row.elts, strict=True) if several else [(arguments, row)]
            yield from (value for name, value in values if name in asserted(function))


def compared(tree: ast.Module) -> Iterator[ast.AST]:
    """The expressions that hold what a test expects."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield node.test
        elif isinstance(node, ast.Call):
            if name_of(node) in COMPARING:
                yield node
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "match")
        elif isinstance(node, ast.For) and asserted(node) & names(node.target):
            yield node.iter
        elif isinstance(node, ast.FunctionDef):
            yield from columns(node)


def sentences(source: str) -> list[tuple[int, str]]:
    return sorted(
        {
            (line, text)
            for expression in compared(ast.parse(source))
            for line, text in literals(expression)
            if len(text) >= CHARACTERS and text.strip().count(" ") >= SPACES
        }
    )


def test_facts_are_asserted_and_no_sentences() -> None:
    files = {path.relative_to(TESTS).as_posix(): path for path in sorted(TESTS.rglob("*.py")) if path != Path(__file__)}
    assert [
        f"{name}:{line}: {text}"
        for name, path in files.items()
        for line, text in sentences(path.read_text(encoding="utf-8"))
        if not text.strip().startswith(NO_SENTENCES)
    ] == []


@pytest.mark.parametrize(
    "source",
    [
        "assert 'SENTENCE' in out",
        "assert out.startswith('SENTENCE')",
        "assert out == f'SENTENCE {number}'",
        "pytest.raises(ValueError, match='SENTENCE')",
        "re.search('SENTENCE', out)",
        "refused(outcome, 1, 'SENTENCE')",
        "for words in ('SENTENCE', 'b'):\n    assert words in out",
        "@pytest.mark.parametrize(('a', 'b'), [(1, 'SENTENCE')])\ndef test(a, b):\n    assert b in out",
    ],
)
def test_a_sentence_is_found_wherever_it_is_compared_with(source: str) -> None:
    sentence = "one two three four five six seven eight nine"
    assert sentences(source.replace("SENTENCE", sentence))
    assert not sentences(source.replace("SENTENCE", "a fact: 5 %"))


@pytest.mark.parametrize(
    "source",
    [
        "assert command('SENTENCE').status == 0",
        "assert out == '', 'SENTENCE'",
        "text = 'SENTENCE'",
        "@pytest.mark.parametrize(('a', 'b'), [(1, 'SENTENCE')])\ndef test(a, b):\n    assert a in read(b)",
    ],
)
def test_what_a_test_gives_or_says_may_be_a_sentence(source: str) -> None:
    assert not sentences(source.replace("SENTENCE", "one two three four five six seven eight nine"))

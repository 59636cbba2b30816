"""Whatever a person reads is plain technical English: phrases that read like a translation do not come back."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The phrase, and what to write in its place.
BANNED = {
    r"\b(?:goes|go|going|went|gone) on\b": "continue, resume, promote, train further",
    r"\btold\b": "report, show, send, distinguish",
    r"\bbegun\b": "started",
    r"\banew\b": "again, from scratch, new",
    r"\bof them(?:[.,;:)]|$)": "name them, or leave it out",
    r"\bis of\b": "belongs to, comes from, is",
    r"\b(?:has|have) not\b": "does not have, lacks, did not",
    r"\bheld against\b": "compared with",
    r"\b(?:[Ss]top\w*|ends?|ended) (?:\w+ )?in order\b": "cleanly",
    r"\bwhichever\b": "name what is meant",
    r"\bwhat there is of\b": "what exists, what is left",
    r"\bmend\w*\b": "fix, repair",
    r"\bby hand\b": "explicitly, manually",
    r"\bfor want of\b": "because ... is short",
    r"\bto be had\b": "available",
    r"\bwhoever\b": "anyone who",
    r"\btells? of\b": "report",
    r"\bis none that\b": "say what it is",
    r"\bare of\b(?! [a-z]+ (?:size|length))": "come from, belong to, have",
}  # fmt: skip


def pages() -> Iterator[tuple[str, int, str]]:
    """The lines of README and docs."""
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield path.relative_to(ROOT).as_posix(), number, line


def texts() -> Iterator[tuple[str, int, str]]:
    """The texts and comments of the package: help, messages, docstrings; names are not among them."""
    kinds = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for path in sorted((ROOT / "resnet_search").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
            if token.type in kinds:
                text = re.sub(r"\{[^{}]*\}|`\w+`", "", token.string)  # Names may be what they like.
                for offset, line in enumerate(text.splitlines()):
                    yield name, token.start[0] + offset, line


def test_phrases_that_read_like_a_translation_are_not_used():
    assert [
        f"{name}:{number}: {line.strip()} ({instead})"
        for name, number, line in (*pages(), *texts())
        for phrase, instead in BANNED.items()
        if re.search(phrase, line, re.IGNORECASE)
    ] == []

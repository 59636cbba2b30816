"""Write a document as Markdown (CommonMark with GitHub's tables); text from files stays text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from resnet_search.report.document import Block, Bullets, Code, Document, Fence, Figure, Paragraph, Strong, Table, Text

# Characters that start a construct inside a line: emphasis, code, links, HTML, entities, tables, mathematics, and the
# addresses that GitHub turns into links.
_INLINE = re.compile(r"[\\`*_\[\]<>#|~&$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
# Characters that would start a list or a rule at the start of a line.
_LIST = re.compile(r"^(\d*)([.)](?=\s|$)|[+=-])")
_TICKS = re.compile(r"`+")
_REPLACED = "\N{REPLACEMENT CHARACTER}"
_MIN_FENCE = 3


def to_markdown(document: Document) -> str:
    """Return the document as the text of a file."""
    lines = [f"# {inline(document.title)}", "", *_blocks(document.blocks)]
    for section in document.sections:
        lines += [f"## {inline(section.title)}", "", *_blocks(section.blocks)]
    return "\n".join(lines).rstrip() + "\n"


def inline(text: Text, *, in_table: bool = False) -> str:
    """Return text on one line."""
    pieces = text if isinstance(text, tuple) else (text,)
    return "".join(_piece(piece, first=at == 0, in_table=in_table) for at, piece in enumerate(pieces))


def escape(text: str, *, first: bool = True) -> str:
    """Escape a string, so that it is shown as it is. `first`: it may start a line."""
    escaped = _INLINE.sub(r"\\\g<0>", visible(text))
    return _LIST.sub(r"\1\\\2", escaped.lstrip()) if first else escaped


def visible(text: str) -> str:
    """Return text on one line; characters that control, reorder or hide others are replaced."""
    return "".join(char if char.isprintable() else " " if char.isspace() else _REPLACED for char in text)


def code(text: str, *, in_table: bool = False) -> str:
    """Return a code span whose delimiter is longer than any run of backticks inside."""
    content = visible(text)
    if not content.strip():
        return "(empty)"
    if in_table and "|" in content:
        # A pipe ends a cell even inside a code span, and renderers disagree on a backslash before it.
        return escape(text)
    ticks = "`" * (_longest_ticks(content) + 1)
    space = " " if content.startswith(("`", " ")) or content.endswith(("`", " ")) else ""
    return f"{ticks}{space}{content}{space}{ticks}"


def _piece(piece: str | Code | Strong, *, first: bool, in_table: bool) -> str:
    if isinstance(piece, Code):
        return code(piece.text, in_table=in_table)
    if isinstance(piece, Strong):
        return f"**{escape(piece.text)}**"
    return escape(piece, first=first)


def _blocks(blocks: Iterable[Block]) -> list[str]:
    lines = []
    for block in blocks:
        lines += [*_block(block), ""]
    return lines


def _block(block: Block) -> list[str]:
    if isinstance(block, Paragraph):
        return [inline(block.text)]
    if isinstance(block, Bullets):
        return [f"- {inline(item)}" for item in block.items]
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Figure):
        return [f"**{escape(block.title)}:** {inline(block.alternative)}"]
    return _fence(block)


def _table(table: Table) -> list[str]:
    rule = ["---:" if column in table.right else "---" for column in range(len(table.header))]
    rows = [[inline(cell, in_table=True) for cell in row] for row in (table.header, *table.rows)]
    return [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]


def _fence(fence: Fence) -> list[str]:
    lines = [visible(line.replace("\t", "    ")) for line in fence.text.split("\n")]
    ticks = "`" * max(_MIN_FENCE, max(map(_longest_ticks, lines)) + 1)
    return [f"{ticks}{fence.language}", *lines, ticks]


def _longest_ticks(text: str) -> int:
    return max((len(run) for run in _TICKS.findall(text)), default=0)

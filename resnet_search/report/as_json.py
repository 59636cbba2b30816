"""Write a document as JSON: the same sections, tables and figures, with text as plain strings."""

from __future__ import annotations

from typing import Any

from resnet_search.report.document import Block, Bullets, Document, Figure, Paragraph, Table, Text


def to_json(document: Document) -> dict[str, Any]:
    """Return a JSON-able dict with `title`, `blocks` and `sections`; see `_block` for the keys of each block type."""
    return {
        "title": plain(document.title),
        "blocks": [_block(block) for block in document.blocks],
        "sections": [
            {"title": plain(section.title), "blocks": [_block(block) for block in section.blocks]}
            for section in document.sections
        ],
    }


def plain(text: Text) -> str:
    """Return text without its markup."""
    pieces = text if isinstance(text, tuple) else (text,)
    return "".join(piece if isinstance(piece, str) else piece.text for piece in pieces)


def _block(block: Block) -> dict[str, Any]:
    if isinstance(block, Paragraph):
        return {"type": "paragraph", "text": plain(block.text)}
    if isinstance(block, Bullets):
        return {"type": "list", "items": list(map(plain, block.items))}
    if isinstance(block, Table):
        rows = [list(map(plain, row)) for row in block.rows]
        return {"type": "table", "header": list(map(plain, block.header)), "rows": rows}
    if isinstance(block, Figure):
        alternative = plain(block.alternative)
        return {"type": "figure", "name": block.name, "title": block.title, "text": alternative, "plotly": block.plot}
    return {"type": "code", "language": block.language, "text": block.text}

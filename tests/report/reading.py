"""What a document says, as facts: the rows and cells of its tables, and its prose, without marks or escapes."""

from __future__ import annotations

from typing import Any

from resnet_search.report.as_json import to_json
from resnet_search.report.document import Document, Section

Part = Document | Section


def rows(*parts: Part) -> list[list[str]]:
    """Of all tables, without their headers."""
    return [row for block in _blocks(*parts) if block["type"] == "table" for row in block["rows"]]


def cells(*parts: Part) -> set[str]:
    return {cell for row in rows(*parts) for cell in row}


def prose(*parts: Part) -> str:
    """Paragraphs, items and what is said instead of figures, a line each."""
    return "\n".join("\n".join(block.get("items", [block.get("text", "")]))
                     for block in _blocks(*parts) if block["type"] in {"paragraph", "list", "figure"})  # fmt: skip


def listings(*parts: Part) -> str:
    """Commands and files, as they stand there."""
    return "\n".join(block["text"] for block in _blocks(*parts) if block["type"] == "code")


def _blocks(*parts: Part) -> list[dict[str, Any]]:
    documents = [part if isinstance(part, Document) else Document("", (), (part,)) for part in parts]
    return [
        block
        for document in map(to_json, documents)
        for blocks in (document["blocks"], *(section["blocks"] for section in document["sections"]))
        for block in blocks
    ]

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from resnet_search.report.document import Bullets, Code, Document, Fence, Paragraph, Section, Strong, Table
from resnet_search.report.markdown import code, escape, to_markdown

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](https://example.org)",
    "![pixel](https://example.org/x.png)",
    "https://example.org",
    "see www.example.org now",
    "<https://example.org>",
    "*bold* __bold__ ~~gone~~",
    "`code` and ``more``",
    "`",
    "```",
    "# heading",
    "- list",
    "-",
    "+ list",
    "1. list",
    "12) list",
    "---",
    "===",
    "> quote",
    "a | b | c",
    r"a \| <b>x</b>",
    r"a \\| <b>x</b>",
    r"\\",
    "\\",
    "&lt;b&gt; &#60;",
    "line\n\n# heading\n<b>",
    "tab\there",
    "\x1b[31mred\x07",
    "\u202eright to left",
    "\udcff not a character",
    "    indented",
    "$x^2$",
    "[ref]: https://example.org",
    "| --- |",
    " ",
    "",
]


def parse(text: str) -> list[Any]:
    markdown_it = pytest.importorskip("markdown_it")
    tokens: list[Any] = []
    for token in markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        tokens += [token, *(token.children or [])]
    return tokens


def structure(text: str) -> Counter[str]:
    """The elements of a document that has a text in every place, but for lines, which an empty text has none of."""
    document = Document(
        (text, Code(text)),
        (Paragraph(text), Paragraph(Code(text)), Paragraph((Strong("x"), text)), Bullets((text, Code(text)))),
        (Section(text, (Table(("a", "b"), ((text, Code(text)), (Code(text), text))), Fence("toml", text))),),
    )
    written = to_markdown(document)
    written.encode()
    of_lines = {"text", "text_special", "code_inline", "softbreak", "inline", "paragraph_open", "paragraph_close"}
    return Counter(token.type for token in parse(written) if token.type not in of_lines)


def test_text_from_files_is_only_text() -> None:
    plain = structure("plain")
    assert plain["fence"] == plain["table_open"] == plain["strong_open"] == 1
    assert {text: found for text in HOSTILE if (found := structure(text)) != plain} == {}


def test_text_reads_as_it_is() -> None:
    read = {text: [*as_lines(text), *as_cells(text)] for text in PLAIN}
    assert read == {text: [text] * 4 for text in PLAIN}


PLAIN = ["a*b_c", "<b>", "x | y", r"a\b", "1. x", "`", "a``b", "50 %, 3-4 (x)", "&amp;"]


def as_lines(text: str) -> Iterator[str]:
    """What is shown of a text and of a code span."""
    for written in (escape(text), code(text)):
        shown = [token for token in parse(written) if token.type in {"text", "text_special", "code_inline"}]
        yield "".join(token.content for token in shown)


def as_cells(text: str) -> Iterator[str]:
    """The same in a table."""
    table = to_markdown(Document("t", (Table(("a", "b"), ((text, Code(text)),)),), ()))
    for cell in [token.children for token in parse(table) if token.type == "inline"][3:]:
        yield "".join(child.content for child in cell)


def test_addresses_are_broken_up_for_renderers_that_link_them() -> None:
    assert escape("http://x www.y a@b") == r"http\://x www\.y a\@b"


def test_numbers_stay_readable() -> None:
    assert escape("Accuracy: 10.70 % ± 0.98 % (of 1,000)") == "Accuracy: 10.70 % ± 0.98 % (of 1,000)"


def test_layout() -> None:
    document = Document(
        "Title",
        (),
        (Section("One", (Table(("a", "b"), (("x", "1"),), right=frozenset({1})), Fence("sh", "a ``` b\n````"))),),
    )
    assert to_markdown(document) == (
        "# Title\n\n## One\n\n| a | b |\n| --- | ---: |\n| x | 1 |\n\n`````sh\na ``` b\n````\n`````\n"
    )

"""Write a document as one self-contained HTML file that fetches nothing; text from files stays text.

The page's Content-Security-Policy allows the two scripts by their hashes, and no connection.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from html import escape as escape_markup
from importlib import resources
from typing import Any

from resnet_search.report.as_json import plain
from resnet_search.report.document import (
    Block,
    Bullets,
    Code,
    Document,
    Figure,
    Paragraph,
    Section,
    Strong,
    Table,
    Text,
)
from resnet_search.report.glossary import TERMS, find
from resnet_search.report.markdown import visible
from resnet_search.report.ordering import sort_value

_ASSETS = resources.files("resnet_search.report") / "assets"
_LONG = 12  # longer code is folded; lines
_LONG_NAME = 300  # longer names scroll; characters
_TALL = 30  # longer tables scroll; rows
_FEWEST_ROWS = 2  # shorter tables cannot be sorted


def to_html(document: Document, *, footer: str, refresh: int | None = None) -> str:
    """Return the page. `footer`: the text of its footer; `refresh`: seconds after which it reloads."""
    return _Page(document, footer, refresh).text()


class _Page:
    """Writes a page and remembers the terms and names it has used."""

    def __init__(self, document: Document, footer: str, refresh: int | None) -> None:
        self._document, self._footer, self._refresh = document, footer, refresh
        self._ids: set[str] = set()
        self._explained: set[str] = set()
        self._used: set[str] = set()
        self._figures: dict[str, Figure] = {}

    def text(self) -> str:
        """Return the whole page."""
        main = self._main()
        data = {name: figure.plot for name, figure in self._figures.items()}
        scripts = [(_ASSETS / "report.js").read_text(encoding="utf-8")]
        if self._figures:
            from plotly.offline import get_plotlyjs

            scripts.insert(0, get_plotlyjs())
        title = _markup(plain(self._document.title))
        refresh = f'<meta http-equiv="refresh" content="{self._refresh}">\n' if self._refresh else ""
        style = (_ASSETS / "report.css").read_text(encoding="utf-8")
        return (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n{refresh}'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
            f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{main}"
            f'<script type="application/json" id="figures">{_script_json(data)}</script>\n'
            + "".join(f"<script>{script}</script>\n" for script in scripts)
            + "</body>\n</html>\n"
        )

    def _main(self) -> str:
        document = self._document
        opening = f"<h1>{self._inline(document.title, explain=False)}</h1>\n{self._blocks(document.blocks)}"
        sections = [(self._id(plain(section.title)), section) for section in document.sections]
        body = "".join(self._section(name, section) for name, section in sections)
        links = [(name, plain(section.title)) for name, section in sections]
        if self._used:
            links.append(("glossary", "Terms"))
        entries = "".join(f'<li><a href="#{name}">{_markup(title)}</a></li>' for name, title in links)
        return (
            '<a class="skip" href="#main">Skip to the report</a>\n'
            f'<nav aria-label="Contents"><details open><summary>Contents</summary><ul>{entries}</ul></details></nav>\n'
            f'<main id="main" tabindex="-1">\n<header>{opening}</header>\n{body}{self._glossary()}'
            f'<footer><p>{_markup(self._footer)}</p></footer>\n</main>\n<div id="tip" role="tooltip" hidden></div>\n'
        )

    def _section(self, name: str, section: Section) -> str:
        self._explained.clear()
        title = self._inline(section.title, explain=False)
        blocks = self._blocks(section.blocks)
        return f'<section aria-labelledby="{name}">\n<h2 id="{name}">{title}</h2>\n{blocks}</section>\n'

    def _glossary(self) -> str:
        if not self._used:
            return ""
        terms = "".join(
            f'<dt id="{_term_id(term)}" tabindex="-1">{term}</dt><dd>{_markup(TERMS[term])}</dd>\n'
            for term in sorted(self._used, key=str.lower)
        )
        return f'<section aria-labelledby="glossary">\n<h2 id="glossary">Terms</h2>\n<dl>\n{terms}</dl>\n</section>\n'

    def _blocks(self, blocks: Iterable[Block]) -> str:
        return "".join(f"{self._block(block)}\n" for block in blocks)

    def _block(self, block: Block) -> str:
        if isinstance(block, Paragraph):
            return f"<p>{self._inline(block.text)}</p>"
        if isinstance(block, Bullets):
            return f"<ul>{''.join(f'<li>{self._inline(item)}</li>' for item in block.items)}</ul>"
        if isinstance(block, Table):
            return self._table(block)
        if isinstance(block, Figure):
            return self._figure(block)
        code = f"<pre><code>{_lines(block.text)}</code></pre>"
        if block.text.count("\n") < _LONG:
            return code
        return f"<details><summary>{block.text.count(chr(10)) + 1} lines</summary>{code}</details>"

    def _figure(self, figure: Figure) -> str:
        name = self._id(f"figure {figure.name}")
        self._figures[name] = figure
        # Scrollable areas must be reachable by keyboard.
        scrolled = f' role="region" tabindex="0" aria-labelledby="{name}-title"' if figure.width else ""
        opening = f'<div class="canvas"{scrolled}>'
        return (
            f'<figure><div class="title" id="{name}-title">{_markup(figure.title)}</div>{opening}'
            f'<div class="plot" id="{name}" style="height:{figure.height}px;min-width:{figure.width}px" role="img" '
            f'aria-labelledby="{name}-title" aria-describedby="{name}-words"></div></div>'
            f'<figcaption id="{name}-words">{self._inline(figure.alternative)}</figcaption>'
            "</figure>"
        )

    def _table(self, table: Table) -> str:
        named = any(plain(cell) for cell in table.header)
        sortable = named and len(table.rows) >= _FEWEST_ROWS
        head = "".join(self._head(cell, column, table, sortable=sortable) for column, cell in enumerate(table.header))
        rows = "".join(
            f"<tr>{''.join(self._cell(cell, column, table, named=named) for column, cell in enumerate(row))}</tr>\n"
            for row in table.rows
        )
        header = f"<thead><tr>{head}</tr></thead>\n" if named else ""
        kind = "sortable" if sortable else "plain"
        scrolls = "wide tall" if len(table.rows) > _TALL else "wide"
        label = _markup(", ".join(filter(None, map(plain, table.header))) or "details")
        return (
            f'<div class="{scrolls}" role="region" tabindex="0" aria-label="Table: {label}">'
            f'<table class="{kind}">{header}<tbody>\n{rows}</tbody></table></div>'
        )

    def _head(self, cell: Text, column: int, table: Table, *, sortable: bool) -> str:
        right = ' class="right"' if column in table.right else ""
        if not sortable:
            return f'<th scope="col"{right}>{self._inline(cell)}</th>'
        return (
            f'<th scope="col"{right} aria-sort="none"><button type="button">'
            f"{self._inline(cell, explain=False)}</button></th>"
        )

    def _cell(self, cell: Text, column: int, table: Table, *, named: bool) -> str:
        if not named and column == 0:
            return f'<th scope="row">{self._inline(cell)}</th>'
        right = ' class="right"' if column in table.right else ""
        value = sort_value(plain(cell)) if named else None
        number = "" if value is None else f' data-value="{value!r}"'
        return f"<td{right}{number}>{self._inline(cell, explain=not named)}</td>"

    def _inline(self, text: Text, *, explain: bool = True) -> str:
        pieces = text if isinstance(text, tuple) else (text,)
        return "".join(self._piece(piece, explain=explain) for piece in pieces)

    def _piece(self, piece: str | Code | Strong, *, explain: bool) -> str:
        if isinstance(piece, Code):
            # Isolated, so that right-to-left text does not reorder the text beside it.
            opening = '<code class="long" tabindex="0">' if len(piece.text) > _LONG_NAME else "<code>"
            return f"{opening}<bdi>{_markup(piece.text)}</bdi></code>"
        if isinstance(piece, Strong):
            return f"<strong>{_markup(piece.text)}</strong>"
        return self._explain(piece) if explain else _markup(piece)

    def _explain(self, text: str) -> str:
        """Return text in which the first use of each term in a section links to its explanation."""
        shown, at = "", 0
        for begin, end, term in find(text):
            if term in self._explained:
                continue
            self._explained.add(term)
            self._used.add(term)
            link = f'<a class="term" href="#{_term_id(term)}">{_markup(text[begin:end])}</a>'
            shown += _markup(text[at:begin]) + link
            at = end
        return shown + _markup(text[at:])

    def _id(self, text: str) -> str:
        """Return a unique name for a place in the page."""
        base = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "part"
        name, number = base, 1
        while name in self._ids or name in {"main", "tip", "figures", "glossary"}:
            number += 1
            name = f"{base}-{number}"
        self._ids.add(name)
        return name


def _term_id(term: str) -> str:
    return "term-" + re.sub(r"[^a-z]+", "-", term.lower())


def _markup(text: str) -> str:
    return escape_markup(visible(text), quote=True)


def _lines(text: str) -> str:
    return "\n".join(_markup(line.replace("\t", "    ")) for line in text.split("\n"))


def _script_json(value: Any) -> str:
    """Return JSON that cannot close the script element around it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _policy(scripts: Iterable[str]) -> str:
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )

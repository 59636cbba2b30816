"""The page: what is in it, that it holds nothing but text from files, and that it fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from resnet_search.report.document import Bullets, Code, Document, Fence, Figure, Paragraph, Section, Strong, Table
from resnet_search.report.html import to_html
from resnet_search.report.illustrated import illustrated
from resnet_search.report.markdown import escape, inline, to_markdown

from .hostile import NAMES, hostile_run, whole_run

pytestmark = pytest.mark.interface

VOID = {"meta", "br", "link", "img", "input"}


class Page(HTMLParser):
    """Elements with their attributes, the text between them, and scripts apart; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.scripts = "", []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        elif "style" not in self._open:
            self.text += data

    def attributes(self, name: str) -> list[str]:
        return [str(attributes[name]) for _, attributes in self.elements if name in attributes]


def made(*blocks, title="A title") -> str:
    return to_html(Document("Report", (), (Section(title, blocks),)), footer="made now")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> str:
    view = whole_run(tmp_path_factory.mktemp("runs"))
    return to_html(illustrated(view), footer="made now")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> str:
    view = hostile_run(tmp_path_factory.mktemp("runs"))
    return to_html(illustrated(view), footer=NAMES[0])


def test_every_kind_of_block():
    table = Table(("Name", "Size"), (("a", "2"), (Code("b"), "10")), right=frozenset({1}))
    plot = Figure("one", "A plot", {"data": [], "layout": {}}, "what it shows")
    page = Page(made(Paragraph(("plain ", Strong("strong"))), Bullets(("item",)), table, Fence("sh", "ls\n-l"), plot))
    for text in ("plain strong", "item", "Size", "ls\n-l", "A plot", "what it shows", "made now"):
        assert text in page.text
    assert page.attributes("data-value") == ["2.0", "10.0"]
    assert [attributes for tag, attributes in page.elements if tag == "div" and attributes.get("role") == "img"]


def test_tables_of_two_rows_and_more_sort():
    one = Page(made(Table(("Name", "Size"), (("a", "2"),))))
    two = Page(made(Table(("Name", "Size"), (("a", "2"), ("b", "3")))))
    unnamed = Page(made(Table(("", ""), (("a", "2"), ("b", "3")))))
    assert [page.attributes("aria-sort") for page in (one, two, unnamed)] == [[], ["none", "none"], []]


def test_terms_lead_to_what_they_mean_once_a_section():
    page = Page(made(Paragraph("A rung and another rung of a bracket.")))
    links = [attributes for tag, attributes in page.elements if tag == "a" and attributes.get("class") == "term"]
    assert [link["href"] for link in links] == ["#term-rung", "#term-bracket"]
    assert {"term-rung", "term-bracket"} <= set(page.attributes("id"))


def test_places_have_names_of_their_own():
    sections = tuple(Section(title, ()) for title in ("One", "One", "Main", "Glossary", "", "<&>"))
    page = Page(to_html(Document("Report", (), sections), footer=""))
    assert max(Counter(page.attributes("id")).values()) == 1


def test_links_inside_the_page_lead_somewhere(whole):
    page = Page(whole)
    ids = set(page.attributes("id"))
    assert max(Counter(page.attributes("id")).values()) == 1
    assert {link.removeprefix("#") for link in page.attributes("href")} <= ids
    for name in ("aria-labelledby", "aria-describedby"):
        assert set(page.attributes(name)) <= ids


def test_the_policy_allows_these_scripts_and_nothing_from_elsewhere(whole):
    page = Page(whole)
    policy = next(a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    data, *scripts = page.scripts
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert policy.startswith("default-src 'none';")
    assert "script-src 'unsafe" not in policy
    assert json.loads(data)
    # Nothing to load, and no handler in an attribute.
    assert not [a for _, a in page.elements if "src" in a or any(name.startswith("on") for name in a)]
    assert all(link.startswith("#") for link in page.attributes("href"))


def test_it_is_under_8_mb(whole):
    assert len(whole.encode()) < 8_000_000


def test_every_figure_says_in_words_what_it_shows(whole):
    page = Page(whole)
    figures = [a for _, a in page.elements if a.get("role") == "img"]
    names = {"cost-params", "cost-macs", "halving", "budget", "curves", "parallel", "effects", "agreement",
             "timeline"}  # fmt: skip
    assert {a["id"] for a in figures} == {f"figure-{name}" for name in names}
    captions = re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", whole, re.DOTALL)
    assert len(captions) == len(figures)
    assert all(len(caption) > 40 for caption in captions)


def test_hostile_text_is_text(hostile, whole):
    page = Page(hostile)
    tags = Counter(tag for tag, _ in page.elements)
    assert tags.keys() == Counter(tag for tag, _ in Page(whole).elements).keys()
    assert tags["script"] == 3
    for name in NAMES[:4]:
        assert name in page.text
    assert "\u202e" not in hostile
    assert not [a for tag, a in page.elements if tag == "a" and not str(a["href"]).startswith("#")]


def test_plotly_gets_no_tags_out_of_files(hostile):
    figures = json.loads(Page(hostile).scripts[0])
    texts: list[str] = []

    def walk(value):
        if isinstance(value, dict):
            [walk(inner) for inner in value.values()]
        elif isinstance(value, list):
            [walk(inner) for inner in value]
        elif isinstance(value, str):
            texts.append(value)

    walk(figures)
    assert {tag for text in texts for tag in re.findall(r"<[^>]*>", text)} == {"<br>", "<extra>", "</extra>"}
    assert max(map(len, texts)) < 300


def test_a_page_that_follows_a_run_loads_itself_again():
    document = Document("Report", (), ())
    assert 'http-equiv="refresh" content="30"' in to_html(document, footer="", refresh=30)
    assert "refresh" not in re.sub(r"<script.*", "", to_html(document, footer=""), flags=re.DOTALL)


def test_the_words_have_what_the_page_has(tmp_path):
    document = illustrated(whole_run(tmp_path))
    words = to_markdown(document)
    figures = [block for section in document.sections for block in section.blocks if isinstance(block, Figure)]
    assert len(figures) == 9
    for figure in figures:
        assert f"**{escape(figure.title)}:** {inline(figure.alternative)}\n" in words

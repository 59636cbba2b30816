from __future__ import annotations

import json

from resnet_search.report.as_json import to_json
from resnet_search.report.document import Bullets, Code, Document, Fence, Figure, Paragraph, Section, Strong, Table
from resnet_search.report.illustrated import illustrated

from .hostile import whole_run


def test_every_kind_of_block():
    blocks = (
        Paragraph(("a ", Code("b"), Strong("c"))),
        Bullets(("d",)),
        Table(("h",), ((Code("i"),),)),
        Fence("sh", "ls"),
        Figure("name", "title", {"data": [], "layout": {}}, "words"),
    )
    assert to_json(Document("t", (), (Section("s", blocks),))) == {
        "title": "t",
        "blocks": [],
        "sections": [
            {
                "title": "s",
                "blocks": [
                    {"type": "paragraph", "text": "a bc"},
                    {"type": "list", "items": ["d"]},
                    {"type": "table", "header": ["h"], "rows": [["i"]]},
                    {"type": "code", "language": "sh", "text": "ls"},
                    {"type": "figure", "name": "name", "title": "title", "text": "words",
                     "plotly": {"data": [], "layout": {}}},
                ],
            }
        ],
    }  # fmt: skip


def test_a_report_is_json(tmp_path):
    document = illustrated(whole_run(tmp_path))
    assert json.loads(json.dumps(to_json(document), allow_nan=False))["title"] == "Architecture search whole"

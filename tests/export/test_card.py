"""The card as model hubs and people read it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from resnet_search.errors import UsageError
from resnet_search.export.card import card
from resnet_search.export.evaluate import measure
from resnet_search.export.formats import FORMATS
from resnet_search.export.metadata import checked_license, to_yaml
from resnet_search.files import append_line
from resnet_search.report.document import Document
from resnet_search.report.exported import Ensemble, Exported, File
from resnet_search.report.facts import Duplicates, facts_of
from resnet_search.report.markdown import to_markdown
from resnet_search.report.tested import interval, ledger, on_test_images
from resnet_search.report.units import percent
from resnet_search.runs.after import LEDGER
from resnet_search.runs.trials import RunView
from tests.report.conftest import CLASSES, make_view, search_events
from tests.report.reading import rows

__all__ = ["make_view"]
MakeView = Callable[..., RunView]
EVIL = '"\n---\n# `x` <script>alert(1)</script> [a](http://b) | ${x}: {y} \u2028\x85\x1b[2J\ufeff: - !!python/object'


def file_of(name: str) -> File:
    made = FORMATS[name]
    return File(
        format=name, name=made.file, runtime=made.runtime, size=1000, compared=64, difference=1e-7, agreement=1.0,
        required=1.0, accuracy=0.8, latencies=(),
    )  # fmt: skip


def exported(*formats: str) -> Exported:
    files = tuple(map(file_of, formats or ["saved_model"]))
    return Exported(difference=1e-7, compared=64, accuracy=0.8, size=1000, files=files)


@pytest.fixture
def view(make_view: MakeView) -> RunView:
    run = search_events()
    run("finished")
    return make_view(run)


def block(text: str) -> dict[str, Any]:
    """The metadata, as a hub finds it: between the first two lines of three dashes."""
    found = re.match(r"---\n(.*?\n)---\n\n# ", text, re.DOTALL)
    assert found is not None
    values = yaml.safe_load(found[1])
    assert isinstance(values, dict)
    return values


def check_layout(values: dict[str, Any]) -> None:
    """The rules of https://github.com/huggingface/hub-docs/blob/main/modelcard.md for what is in the block."""
    assert values.keys() <= {
        "license", "license_name", "library_name", "pipeline_tag", "tags", "datasets", "metrics", "model-index"
    }  # fmt: skip
    assert re.fullmatch(r"[a-z0-9.+-]+", values["license"])
    assert values["pipeline_tag"] == "image-classification"
    for key in ("tags", "datasets", "metrics"):
        assert all(isinstance(value, str) and re.fullmatch(r"[\w.-]+", value) for value in values[key])
    for index in values.get("model-index", []):
        assert index.keys() == {"name", "results"}
        for result in index["results"]:
            assert result["task"]["type"] == "image-classification"
            assert {"type", "name"} <= result["dataset"].keys() <= {"type", "name", "split"}
            for metric in result["metrics"]:
                assert {"type", "value"} <= metric.keys()
                assert isinstance(metric["value"], float | int)


def test_the_block_is_what_hubs_read(view: RunView) -> None:
    values = block(card(view, [view.trials["0004"]], exported("saved_model", "onnx", "litert", "litert-int8")))
    check_layout(values)
    assert values["license"] == "unknown"
    assert values["datasets"] == ["shapes"]
    assert values["tags"] == ["resnet", "neural-architecture-search", "tensorflow", "onnx", "tflite"]
    (index,) = values["model-index"]
    (result,) = index["results"]
    assert index["name"] == view.trials["0004"].name
    assert result["dataset"]["split"] == "validation"
    assert result["metrics"] == [{"type": "accuracy", "value": 0.8, "name": "Validation accuracy"}]


def make_measured(images: int = 400) -> Any:
    random = np.random.default_rng(0)
    labels = random.integers(0, len(CLASSES), images)
    scores = random.random((images, len(CLASSES))) + np.eye(len(CLASSES))[labels] * 0.5
    return measure((scores / scores.sum(axis=1, keepdims=True)).astype(np.float32), labels, tuple(CLASSES))


def test_test_accuracy_comes_first_with_its_interval(view: RunView) -> None:
    measured = make_measured()
    read = {"time": 2e9, "command": ["resnet-search", "train"], "network": "x", "images": 400}
    append_line(view.folder.path / LEDGER, read)
    text = card(view, [view.trials["0004"]], exported(), measured=measured)
    check_layout(block(text))
    (index,) = block(text)["model-index"]
    assert [result["dataset"]["split"] for result in index["results"]] == ["test", "validation"]
    assert index["results"][0]["metrics"][0]["value"] == pytest.approx(measured.top1.value, abs=5e-5)
    top = measured.top1
    test = f"400 test images | {percent(top.value)} | {interval(top)} |"
    assert text.index(test) < text.index("1,000 validation images | 80.00 % | 77.41 to 82.36 % |")
    for section in on_test_images(measured, Duplicates()):
        assert to_markdown(Document("", (), (section,))).removeprefix("# \n\n") in text
    assert "read once" in text
    assert rows(ledger(facts_of(view)))[0][1:] == ["resnet-search train", "x", "400"]


def test_without_test_images_that_is_said(view: RunView) -> None:
    text = card(view, [view.trials["0004"]], exported())
    assert "read once" not in text
    assert "400 test images" not in text


def test_a_network_that_has_seen_the_validation_images_has_no_such_accuracy(view: RunView) -> None:
    held_out = card(view, [view.trials["0004"]], exported())
    view.content["data"]["merged"] = True
    text = card(view, [view.trials["0004"]], exported())
    assert "model-index" not in block(text)
    of_validation = "77.41 to 82.36 %"
    assert (of_validation in held_out, of_validation in text) == (True, False)
    # Where the card says how many images it was validated on.
    before, after = (re.findall(r"^.*1,000 images.*$", page, re.MULTILINE) for page in (held_out, text))
    assert before != after


def test_every_format_is_used_in_three_lines(view: RunView) -> None:
    text = card(view, [view.trials["0004"]], exported(*FORMATS))
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert [len(program.splitlines()) for program in programs] == [3] * len(FORMATS)
    for made, program in zip(FORMATS.values(), programs, strict=True):
        compile(program, "card", "exec")
        assert f'"{made.file}"' in program


def test_an_ensemble_is_called_one(view: RunView) -> None:
    members = [view.trials["0004"], view.trials["0005"]]
    together = Ensemble(members=("0004", "0005"), params=3000, macs=10**6, alone=())
    text = card(view, members, replace(exported(), ensemble=together))
    assert "2 residual networks" in text
    assert f"{members[0].params + members[1].params:,} trainable parameters" in text
    assert "resnet-search export small-run --ensemble 2" in text
    assert block(text)["model-index"][0]["name"] == f"ensemble of 2 with {members[0].name}"


def test_the_command_is_that_of_any_machine(view: RunView) -> None:
    view.content["command"][0] = "/home/me/.venv/bin/resnet-search"
    view.content["data"]["source"] = "/home/me/photos of cats"
    text = card(view, [view.trials["0004"]], exported())
    assert "resnet-search run --space small --seed 7\nresnet-search export small-run --trial 0004" in text
    assert "/home/me" not in text
    assert block(text)["datasets"] == ["photos-of-cats"]


@pytest.mark.parametrize(
    ("given", "stated", "name"),
    [("Apache-2.0", "apache-2.0", None), ("LicenseRef-My.Own", "other", "my.own"), (None, "unknown", None)],
)
def test_the_license(view: RunView, given: str | None, stated: str, name: str | None) -> None:
    text = card(view, [view.trials["0004"]], exported(), license_id=checked_license(given))
    check_layout(block(text))
    assert (block(text)["license"], block(text).get("license_name")) == (stated, name)
    # The last section, which without a license says how to state one.
    assert (given or "resnet-search export --license") in text.split("\n## ")[-1]


@pytest.mark.parametrize("spdx", ["", "MIT\n", "a b", "-x", "x" * 65, "MIT: y", "M\u0406T"])
def test_what_is_no_license_is_refused(spdx: str) -> None:
    with pytest.raises(UsageError, match="--license: got"):
        checked_license(spdx)


def test_names_from_elsewhere_are_text(make_view: MakeView) -> None:
    """Neither the block nor the page is more than what was written here."""
    view = make_view(search_events())
    plain = card(view, [view.trials["0004"]], exported(), measured=make_measured())
    view.content["data"] |= {"classes": [EVIL, "b", "c"], "source": EVIL, "fingerprint": EVIL}
    view.content["recipe"]["name"] = EVIL
    view.content["versions"]["x"] = EVIL
    trial = replace(view.trials["0004"], name=EVIL)
    measured = replace(make_measured(), classes=(EVIL, "b", "c"))
    append_line(view.folder.path / LEDGER, {"time": 0.0, "command": [EVIL], "network": EVIL, "images": 1})
    text = card(view, [trial], exported(), measured=measured)
    check_layout(block(text))
    assert block(text)["model-index"][0]["name"].startswith('" ---')
    assert all(char.isprintable() or char == "\n" for char in text)

    def headings(page: str) -> list[str]:
        tokens = MarkdownIt("commonmark").enable("table").parse(page.split("---\n\n", 1)[1])
        assert not [token for token in tokens if token.type == "html_block"]
        inner = [child for token in tokens for child in token.children or ()]
        assert not [child for child in inner if child.type in {"html_inline", "link_open", "image"}]
        return [token.tag for token in tokens if token.type == "heading_open"]

    assert headings(text) == headings(plain)


@given(
    st.recursive(
        st.one_of(st.text(), st.integers(-(2**40), 2**40), st.booleans()),
        lambda inner: st.lists(inner, min_size=1) | st.dictionaries(st.sampled_from("abcde"), inner, min_size=1),
    )
)
@settings(deadline=None)
def test_yaml_is_read_back_as_json_would_be(value: Any) -> None:
    def shown(inner: Any) -> Any:
        from resnet_search.report.markdown import visible

        if isinstance(inner, str):
            return visible(inner)
        if isinstance(inner, list):
            return [shown(one) for one in inner]
        return {key: shown(one) for key, one in inner.items()} if isinstance(inner, dict) else inner

    assert yaml.safe_load(to_yaml({"key": value})) == json.loads(json.dumps({"key": shown(value)}))

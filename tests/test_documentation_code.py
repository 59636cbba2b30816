"""The Python of the documentation runs as it stands, apart from how much it trains."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .test_documentation import PAGES, ROOT, fences, make_images

TINY = """
method = "grid"
[axes]
block = ["basic"]
n = [1]
width = [4, 6, 8]
[hyperband]
max_epochs = 1
[data]
source = "shapes"
validation = 100
"""
# Of each page that trains, the parts that would take long, and what is run in their place.
SHORTER: dict[str, dict[str, str]] = {
    "docs/confirm.md": {'recipe="he"': 'recipe="he", epochs=2'},
    "docs/export.md": {},
    "docs/how-to/from-keras-tuner.md": {"max_epochs=27": "max_epochs=2"},
    "docs/predict.md": {},
    "docs/python.md": {
        "max_epochs=3)  #": "max_epochs=1)  #",
        "workers=2)": "workers=2, train_examples=200)",
        "SearchSettings(), [tell]": "SearchSettings(train_examples=200), [tell]",
        "max_trials=20": "max_trials=2",
        "epochs=3)": "epochs=1)",
    },
}
QUICK = {"docs/blocks.md", "docs/data.md", "docs/spaces.md"}
PACKAGES = {"onnx": "onnxruntime", "litert": "ai_edge_litert"}  # of formats


def blocks(page: str) -> list[str]:
    return list(fences(ROOT / page, "python"))


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("resnet_search"):
            yield from ((str(node.module), alias.name) for alias in node.names)


def defined(module: str) -> str:
    """Return the source of a module of the package, which is not imported."""
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")


def run(page: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run the blocks of a page one after another, as its reader does; return the names that they leave."""
    for number, text in enumerate(blocks(page)):
        for long, short in SHORTER.get(page, {}).items():
            text = text.replace(long, short)  # noqa: PLW2901
        exec(compile(text, f"{page}, block {number}", "exec"), names)  # noqa: S102
    return names


def test_each_page_with_python_has_its_test() -> None:
    pages = {str(page.relative_to(ROOT)) for page in PAGES if any(fences(page, "python"))}
    assert pages == QUICK | SHORTER.keys()
    for page, parts in SHORTER.items():
        assert [part for part in parts if part not in "".join(blocks(page))] == []


def test_what_blocks_import_is_there() -> None:
    missing = [
        f"{page}: {module}.{name}"
        for page in QUICK | SHORTER.keys()
        for text in blocks(page)
        for module, name in imported(ast.parse(text if not text.startswith('"') else f"{{{text}}}"))
        if not re.search(rf"\b{name}\b", defined(module))
    ]
    assert missing == []


def arrays(count: int, size: int = 32) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        f"{kind}_{part}": rng.integers(0, 256, (count, size, size, 3), np.uint8)
        if kind == "x"
        else np.arange(count) % 10
        for part in ("train", "test", "val", "validation")
        for kind in ("x", "y")
    }


def test_a_new_block_type() -> None:
    from resnet_search.networks import dialect as types

    [text] = blocks("docs/blocks.md")
    [made] = eval(f"{{{text}}}", dict(vars(types))).values()  # noqa: S307
    assert isinstance(made, types.BlockType)


def test_an_npz_is_written_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from resnet_search import load_data

    monkeypatch.chdir(tmp_path)
    run("docs/data.md", {"numpy": np, **arrays(40)})
    assert len(load_data("images.npz").x_train) == 40


def test_spaces_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run("docs/spaces.md", {})
    assert names["feasible"].count == len(names["feasible"].architectures) > 0


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small search, its export, and what a reader of the pages has."""
    from PIL import Image

    from resnet_search import SearchSettings, export_run, run_search
    from resnet_search.spaces.load import parse_space

    folder = tmp_path_factory.mktemp("reader")
    settings = SearchSettings(name="s", runs_dir=folder / "runs", train_examples=100, workers=1)
    view = run_search(parse_space(TINY, "tiny"), settings)
    installed = [name for name, package in PACKAGES.items() if find_spec(package)]
    formats = ["keras", *installed, *(["litert-int8"] if "litert" in installed else [])]
    export_run(view, out=folder / "export", formats=formats)
    make_images(folder / "photos", per_class=2)
    Image.new("RGB", (40, 30), (200, 10, 10)).save(folder / "picture.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/confirm.md", "docs/export.md", "docs/predict.md"])
def test_pages_about_a_finished_search(page: str, searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(searched)
    absent = [name for name, package in PACKAGES.items() if not find_spec(package)]
    if page == "docs/export.md" and absent:
        # The rest of the page runs; these formats run where their extras are installed.
        monkeypatch.setitem(SHORTER, page, {'["onnx", "litert-int8"]': '["keras"]'})
        kept = [text for text in blocks(page) if not re.search("|".join(PACKAGES[name] for name in absent), text)]
        monkeypatch.setitem(globals(), "blocks", lambda _: kept)
    images = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), np.uint8)
    names = run(page, {"images": images, "labels": np.arange(10)})
    if page == "docs/confirm.md":
        assert len(names["found"].candidates) == 3
    else:
        assert np.asarray(names["probabilities"]).shape == (10, 10)


@pytest.mark.slow
def test_the_python_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    names = run("docs/python.md", arrays(32))
    assert names["run"].state == "finished"
    assert names["tuner"].get_best_models()[0].count_params() > 0


@pytest.mark.slow
def test_the_search_in_keras_tuner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    def residual(x: Any, block: str, filters: int, strides: int) -> Any:
        del block
        return keras.layers.Conv2D(filters, 3, strides, padding="same", activation="relu")(x)

    monkeypatch.chdir(tmp_path)
    run("docs/how-to/from-keras-tuner.md", {"residual": residual, **arrays(32)})
    assert keras.saving.load_model("best.keras").output_shape == (None, 10)

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import psutil
import pytest

from resnet_search.errors import ExportError
from resnet_search.export.folder import folder_bytes, recover, replaced, replacing_export
from resnet_search.export.formats import FORMATS
from resnet_search.runs.exports import MANIFEST, Network
from tests.faults.table import fault


def fill(folder: Path, trial: str = "0000") -> None:
    (folder / "saved_model").mkdir()
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"12345")
    (folder / MANIFEST).write_text(json.dumps({"trial": trial}))


def export(out: Path, trial: str = "0000") -> None:
    with replacing_export(out) as partial:
        fill(partial, trial)


def test_parents_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    export(tmp_path / "a" / "b")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert folder_bytes(tmp_path / "a" / "b" / "saved_model") == 5


def test_an_empty_folder_and_an_earlier_export_are_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    export(out, "0001")
    export(out, "0002")
    assert json.loads((out / MANIFEST).read_text()) == {"trial": "0002"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    export(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / MANIFEST).is_file()


@pytest.mark.parametrize("content", [{"notes.txt": "mine"}, {MANIFEST: "{"}, {MANIFEST: "[]"}, {MANIFEST: "{}"}])
def test_a_folder_of_something_else_is_refused(tmp_path: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ExportError, match=f"got '{tmp_path}'"):
        export(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == content


def test_a_file_of_the_user_in_an_earlier_export_is_kept(tmp_path: Path) -> None:
    export(tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"'notes\.txt'"):
        export(tmp_path / "out")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match=f"got '{tmp_path / 'file'}'"):
        export(tmp_path / "file")
    with pytest.raises(ExportError, match="Not a directory"):
        export(tmp_path / "file" / "out")
    with pytest.raises(ExportError, match="nul"):
        export(tmp_path / "nul\0")


def test_a_full_disk_is_one_sentence_and_leaves_the_earlier_export(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(out)
    with (
        pytest.raises(ExportError, match=f"got '{out}'.*No space left") as raised,
        replacing_export(out),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert raised.value.cure
    assert json.loads((out / MANIFEST).read_text()) == {"trial": "0000"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_interrupted_export_leaves_nothing(tmp_path: Path) -> None:
    def stop() -> None:
        with replacing_export(tmp_path / "out") as partial:
            fill(partial)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert list(tmp_path.iterdir()) == []


def test_the_earlier_export_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export(out)
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if path.name.startswith(".partial"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ExportError, match="Permission denied"):
        export(out, "0001")
    assert json.loads((out / MANIFEST).read_text()) == {"trial": "0000"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@fault(
    "use",
    "Another trial is exported after the best one",
    here="each network has a folder of its own; elsewhere, `--replace` is required, and `predict` names the network",
)
def test_an_export_of_another_network_is_replaced_only_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(out, "0007")
    same, other = Network("", ("0007",), "", None), Network("night", ("0003",), "resnet-20", 0.5)
    with pytest.raises(ExportError, match=r"trial 0007;.* trial 0003 of night") as raised, replacing_export(out, other):
        raise AssertionError
    assert "--replace" in raised.value.cure
    assert json.loads((out / MANIFEST).read_text()) == {"trial": "0007"}
    assert replaced(out, same, [FORMATS["saved_model"]]) == ()
    assert "trial 0007" in replaced(out, other, [FORMATS["saved_model"]])[0]
    (out / "model.onnx").touch()
    assert "model.onnx" in replaced(out, same, [FORMATS["saved_model"]])[0]
    assert replaced(out, same, [FORMATS["saved_model"], FORMATS["onnx"]]) == ()
    for network in (same, None):
        with replacing_export(out, network) as partial:
            fill(partial, "0007")
    assert not (out / "model.onnx").exists()


@fault(
    "crash",
    "`kill -9` of an export, at any moment, and `export` again",
    here="the new export is whole; a note says what the killed one had left, and an earlier export is put back first",
)
@pytest.mark.parametrize(
    ("names", "notes", "there"),
    [
        ([], 0, False),
        ([".partial-{dead}-export"], 1, False),
        ([".old-{dead}-export"], 1, True),
        ([".old-{dead}-export", "export"], 1, True),
        ([".old-{dead}-export", ".partial-{dead}-export"], 2, True),
        ([".partial-{alive}-export", ".partial-{dead}-other"], 0, False),
    ],
)
def test_what_a_killed_export_left_is_found_and_tidied_up(
    names: list[str], notes: int, there: bool, tmp_path: Path
) -> None:
    dead = next(number for number in range(10**6, 10**7) if not psutil.pid_exists(number))
    for name in names:
        folder = tmp_path / name.format(dead=dead, alive=os.getpid())
        folder.mkdir()
        (folder / "mark").write_text(name)
    assert len(recover(tmp_path / "export")) == notes
    left = {path.name for path in tmp_path.iterdir()} - {"export"}
    assert left == {name.format(dead=dead, alive=os.getpid()) for name in names if "alive" in name or "other" in name}
    assert (tmp_path / "export").is_dir() is there
    if there:
        assert (tmp_path / "export" / "mark").read_text() == ("export" if "export" in names else names[0])
    assert recover(tmp_path / "export") == ()
    assert recover(tmp_path / "nowhere" / "export") == ()

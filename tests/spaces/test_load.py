"""Space files: found by name or path; what cannot be read is one message."""

from __future__ import annotations

import os
import re
import shutil

import pytest

from resnet_search.errors import SpaceError
from resnet_search.search.counted import counted_images
from resnet_search.spaces import known_spaces, load, load_space, parse_space, shipped_spaces
from resnet_search.spaces.plan import make_plan
from resnet_search.spaces.timing import PASSES

TEXT = '[axes]\nn = [1, 2]\nwidth = 8\nblock = "basic"\n'


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(ref, **rest):
    with pytest.raises(SpaceError) as caught:
        load_space(ref, **rest)
    text = str(caught.value)
    assert text.replace("\n", "").isprintable()
    return text


def test_the_spaces_that_ship():
    assert shipped_spaces() == [
        "baselines", "cifar_full", "cifar_preact", "cifar_resnext", "cifar_small", "cifar_wide", "degradation",
        "folder", "quickstart",
    ]  # fmt: skip


def test_each_shipped_file_opens_with_its_command_and_its_cost_as_planned(shipped):
    for space in shipped:
        first, second = space.text.splitlines()[:2]
        assert first == f"# resnet-search run --space {space.name}"
        plan = make_plan(space)
        what = "networks" if space.method == "grid" else "candidates"
        for cost in (f"{plan.candidates} {what}", f"{plan.trials} trials", f"{plan.epochs:,} epochs"):
            assert cost in second
        images = int(re.search(r"(?:of|with) ([\d,]+) images", second)[1].replace(",", ""))
        assert space.name == "folder" or images == counted_images(space.data, None, None).train
        work = f"{PASSES * plan.epochs * images * plan.mean_macs:.2g}".replace("e+", "e")
        assert f"about {work} multiply-adds" in second or space.name == "quickstart"
        assert space.description


def test_a_wheel_carries_the_spaces_inside_the_package(here, monkeypatch):
    package = here / "resnet_search"
    shutil.copytree(known_spaces()["quickstart"].parent, package / "search_spaces")
    monkeypatch.setattr(load, "__file__", str(package / "spaces" / "load.py"))
    assert known_spaces()["quickstart"].parent == package / "search_spaces"


def test_a_name_a_path_and_a_name_in_the_folder_are_the_same_space(here):
    (here / "search_spaces").mkdir()
    (here / "search_spaces" / "mine.toml").write_text(TEXT)
    spaces = [
        load_space(ref)
        for ref in ("mine", "mine.toml", "search_spaces/mine.toml", str(here / "search_spaces" / "mine.toml"))
    ]
    assert all(space == spaces[0] for space in spaces)
    assert spaces[0].name == "mine"
    assert spaces[0].text == TEXT


def test_the_folder_goes_before_what_ships(here):
    assert load_space("quickstart").axes.width != (8,)
    (here / "search_spaces").mkdir()
    (here / "search_spaces" / "quickstart.toml").write_text(TEXT)
    assert load_space("quickstart").axes.width == (8,)


def test_a_file_of_the_current_folder_needs_no_slash(here):
    (here / "mine.toml").write_text(TEXT)
    (here / "bare").write_text(TEXT)
    assert load_space("mine.toml").name == "mine"
    assert load_space("bare").name == "bare"


def test_an_unknown_name_lists_those_that_exist_and_the_nearest(here):
    text = refused("quikstart")
    assert ", ".join(shipped_spaces()) in text
    assert 'nearest: "quickstart"' in text


@pytest.mark.parametrize(
    "ref",
    ["", " ", ".", "../../x", "/", "\x1b[31mred", "a\x00b", "a\x00/b", "x" * 300, "a/" * 3_000, "~/none.toml", "..\\x",
     "\ud800", "--help", "$(reboot)"],
)  # fmt: skip
def test_a_hostile_name_is_harmless(here, ref):
    refused(ref)
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "[axes] block: missing"),
        (b"[axes\n", "line 1, column 6: "),
        (b"[axes]\nwidth = [8, 16\nn = 1\n", "line 3, column 1: Unclosed array: n = 1"),
        (b"[axes]\nwidth = 8\nwidth = 9\n", "line 3, column 10: Cannot overwrite"),
        (b"[axes]\nwidth 8\n", "line 2, column 7: "),
        (b"[axes]\nwidth = 08\n", "line 2, column 10: "),
        (b'[axes]\nwidth = "8', "file: "),
        (b"\xff\xfe[\x00a", "byte 0"),
        (b"[axes]\n# \xe9", "byte 9"),
        (b"\x00" * 10, "line 1, column 1: "),
        (b"a = " + b"[" * 50_000, "not readable as TOML"),
        (b"a = " + b"1" * 5_000, "not readable as TOML"),
        (b"#" * 100_001, "100,001 bytes; allowed: "),
        (b'"\x1b[2J" 3', "line 1, column"),
    ],
)
def test_a_file_that_is_no_space(here, content, said):
    (here / "mine.toml").write_bytes(content)
    text = refused("./mine.toml")
    assert text.startswith("mine.toml: ")
    assert said in text


def test_a_byte_order_mark_is_no_mistake(here):
    (here / "mine.toml").write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert load_space("mine.toml").axes.n == (1, 2)


def test_a_folder_a_pipe_and_a_missing_file(here):
    (here / "folder.toml").mkdir()
    os.mkfifo(here / "pipe.toml")
    (here / "loop.toml").symlink_to("loop.toml")
    assert "folder" in refused("./folder.toml").removeprefix("folder.toml")
    refused("./pipe.toml")
    refused("./loop.toml")
    assert "No such file or directory" in refused("./none.toml")


def test_a_file_without_permission(here, monkeypatch):
    (here / "mine.toml").write_text(TEXT)

    def denied(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", denied)
    assert "Permission denied" in refused("mine.toml")


def test_the_name_of_a_space_is_fit_for_a_folder():
    assert parse_space(TEXT, "/a/../b c/..x y\x07!.toml").name == "x-y"
    assert parse_space(TEXT, "").name == "space"

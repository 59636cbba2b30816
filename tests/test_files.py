from __future__ import annotations

import pytest

from resnet_search.files import append_line, read_lines, replacing, write_json


def test_a_failed_replacement_leaves_the_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def fail() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == '{\n "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("torn", [b'{"n": 2', b"{", b'{"n": 2}'])
def test_a_torn_last_line_is_left_out_and_then_cut_off(tmp_path, torn):
    log = tmp_path / "log"
    append_line(log, {"n": 1})
    with log.open("ab") as file:
        file.write(torn)
    assert read_lines(log) == [{"n": 1}]
    append_line(log, {"n": 3})
    assert read_lines(log) == [{"n": 1}, {"n": 3}]


def test_a_log_that_is_one_torn_line(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b'{"n"')
    append_line(log, {"n": 1})
    assert read_lines(log) == [{"n": 1}]
    assert read_lines(tmp_path / "absent") == []


def test_no_value_that_json_does_not_know(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_line(tmp_path / "log", {"loss": float("nan")})
    assert not (tmp_path / "log").exists()

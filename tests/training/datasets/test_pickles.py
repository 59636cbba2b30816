from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_search.errors import DataError
from resnet_search.training.datasets.pickles import read_batch

ROWS = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
LABELS = [3, 9]


def _python2(rows: np.ndarray, labels: list[int]) -> bytes:
    """What Python 2 wrote: protocol 2, byte strings, numpy.core, a row-by-row array."""
    out = io.BytesIO()
    out.write(
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85"
    )
    out.write(
        b"U\x01b\x87Rq\x05(K\x01K" + bytes([len(rows)]) + b"M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87R"
    )
    out.write(b"q\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<I", rows.size))
    out.write(rows.tobytes() + b"tbU\x06labels](" + b"".join(b"K" + bytes([y]) for y in labels) + b"e")
    out.write(b"U\x09filenames](U\x05a.png" + b"U\x05b.pnge" + b"U\x0bbatch_labelU\x03oneu.")
    return out.getvalue()


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_batch_written_by_python_3_is_read(protocol: int, as_bytes: bool) -> None:
    keys = (b"data", b"labels", b"filenames") if as_bytes else ("data", "labels", "filenames")
    batch = dict(zip(keys, (ROWS, LABELS, [b"a.png", b""]), strict=True))
    rows, labels = read_batch(pickle.dumps(batch, protocol), "here")
    assert np.array_equal(rows, ROWS)
    assert labels == LABELS


def test_a_batch_written_by_python_2_is_read() -> None:
    content = _python2(ROWS, LABELS)
    assert np.array_equal(pickle.loads(content, encoding="latin1")["data"], ROWS)  # noqa: S301 - our own bytes
    rows, labels = read_batch(content, "here")
    assert np.array_equal(rows, ROWS)
    assert labels == LABELS


class _Runs:
    def __init__(self, function: object, *arguments: object) -> None:
        self.what = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.what


def _hostile(tmp_path: Path) -> dict[str, tuple[bytes, str]]:
    touch = f"touch {tmp_path / 'touched'}"
    good = {b"data": ROWS, b"labels": LABELS}
    return {
        "os.system": (pickle.dumps({**good, b"x": _Runs(os.system, touch)}, 2), "system"),
        "subprocess": (pickle.dumps(_Runs(subprocess.getoutput, touch), 2), "getoutput"),
        "eval": (pickle.dumps(_Runs(eval, "1 + 1"), 2), "eval"),
        "numpy.load": (pickle.dumps(_Runs(np.load, "x"), 2), "numpy"),
        "dotted": (b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.", "ndarray.__init__"),
        "an instance": (pickle.dumps(Path("x"), 2), "pathlib"),
        "persistent": (b"Pname\n.", "PERSID"),
        "instance by opcode": (b"(ios\nsystem\n.", "INST"),
        "new object": (b"\x80\x02cnumpy\nndarray\n)\x81.", "NEWOBJ"),
        "extension": (b"\x80\x02\x82\x01.", "EXT1"),
        "buffer": (b"\x80\x05\x97.", "NEXT_BUFFER"),
        "huge bytearray": (b"\x80\x05\x96" + struct.pack("<Q", 1 << 50) + b".", "here"),
        "huge memo": (b"\x80\x02Nr\xff\xff\xff\xff.", "4294967295"),
        "state of a function": (b"\x80\x02cnumpy\ndtype\n}b.", "function"),
        "bytes of a size": (b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.", "here"),
        "text in another code": (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.", "rot13"),
        "deep": (b"\x80\x02N" + b"\x85" * 200_000 + b".", "tuples"),
        "floats": (pickle.dumps({**good, b"data": ROWS.astype(np.float32)}, 2), "bytes"),
        "objects": (pickle.dumps({**good, b"data": np.array([None, 1], object)}, 2), "bytes"),
        "by column": (pickle.dumps({**good, b"data": np.asfortranarray(ROWS)}, 2), "row"),
        "too few columns": (pickle.dumps({**good, b"data": ROWS[:, :9].copy()}, 2), "(2, 9)"),
        "no labels": (pickle.dumps({b"data": ROWS}, 2), "labels"),
        "labels of another kind": (pickle.dumps({**good, b"labels": ["a", "b"]}, 2), "numbers"),
        "true and false": (pickle.dumps({**good, b"labels": [True, False]}, 2), "numbers"),
        "data of another kind": (pickle.dumps({**good, b"data": b"x"}, 2), "here"),
        "no dictionary": (pickle.dumps([1, 2], 2), "here"),
        "array without state": (b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\n)RU\x06labels]u.", "here"),
        "shape that lies": (_python2(ROWS, LABELS).replace(b"K\x01K\x02M\x00\x0c", b"K\x01K\x09M\x00\x0c"), "here"),
        "unhashable key": (b"\x80\x02}(]Nu.", "here"),
        "truncated": (pickle.dumps(good, 2)[:-200], "here"),
        "empty": (b"", "here"),
        "no pickle": (b"\x89PNG\r\n", "here"),
    }


NAMES = sorted(_hostile(Path()))


@pytest.mark.parametrize("name", NAMES)
def test_anything_else_is_refused_and_named(name: str, tmp_path: Path) -> None:
    content, word = _hostile(tmp_path)[name]
    with pytest.raises(DataError) as error:
        read_batch(content, "here")
    assert word in error.value.message
    assert error.value.message.startswith("here: ")
    assert not (tmp_path / "touched").exists()


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(DataError):
        read_batch(content, "here")


@given(st.integers(0, 1_000), st.binary(min_size=1, max_size=6))
def test_a_damaged_batch_is_read_as_bytes_or_refused(place: int, damage: bytes) -> None:
    content = pickle.dumps({b"labels": LABELS, b"data": ROWS}, 2)
    place = place % len(content)
    try:
        rows, _ = read_batch(content[:place] + damage + content[place + len(damage) :], "here")
    except DataError:
        return
    assert rows.dtype == np.uint8


@given(
    st.tuples(
        st.sampled_from(["os", "builtins", "numpy", "posix", "nt", "numpy.core.multiarray"]),
        st.text("abcdef_", min_size=1),
    )
)
def test_no_other_name_is_looked_up(name: tuple[str, str]) -> None:
    content = b"\x80\x02c" + name[0].encode() + b"\n" + name[1].encode() + b"\n."
    with pytest.raises(DataError, match="names"):
        read_batch(content, "here")

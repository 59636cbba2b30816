"""The official CIFAR-10 pickles, read without running what a pickle may ask for.

A pickle is a program. Nothing it names is looked up: the few names that NumPy's arrays need stand for inert objects
of this module, and any other name is refused. Opcodes that such a file has no use for are refused before it runs.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_search.errors import DataError

_OPCODES = frozenset(
    opcode
    for group in (
        "PROTO FRAME STOP MARK POP POP_MARK",
        "MEMOIZE GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT",
        "GLOBAL STACK_GLOBAL REDUCE BUILD",
        "NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1",
        "STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8",
        "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8",
        "EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3",
        "EMPTY_LIST LIST APPEND APPENDS",
        "EMPTY_DICT DICT SETITEM SETITEMS",
    )
    for opcode in group.split()
)
_MOST_MEMO = 1_000_000  # the unpickler allocates a slot for every smaller number
_MOST_TUPLES = 1_000  # hashing a tuple in a tuple in a tuple ... would overflow the stack


class _Bytes:
    """Stands for an array's type; keeps its name alone."""

    def __init__(self, name: object) -> None:
        self.name = name.decode("latin1") if isinstance(name, bytes) else name

    def __setstate__(self, state: object) -> None:
        """Byte order, names and sizes: of no use for single bytes."""


class _Array:
    """Stands for a NumPy array; takes its content as data."""

    def __init__(self) -> None:
        self.state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def array(self) -> NDArray[np.uint8]:
        _, shape, kind, by_column, content = self.state
        if not isinstance(kind, _Bytes) or kind.name != "u1" or by_column:
            raise pickle.UnpicklingError("an array is not one of single bytes, row by row")
        content = content.encode("latin1") if isinstance(content, str) else content
        return np.frombuffer(content, np.uint8).reshape(shape)


class _Call:
    """A function that the pickle may call; without state of its own, since a pickle may set attributes."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: object) -> Any:
        return self._function(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("the state of a function is set")


def _encode(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"a text in {encoding!r}")
    return text.encode("latin1")


_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): lambda: None,
    ("numpy", "dtype"): lambda name, *_: _Bytes(name),
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),
    ("numpy._core.multiarray", "_reconstruct"): lambda *_: _Array(),
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): lambda: b"",
    ("builtins", "bytes"): lambda: b"",
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no CIFAR-10 batch needs")
        return _Call(_NAMES[module, name])


def read_batch(content: bytes, where: str) -> tuple[NDArray[np.uint8], list[int]]:
    """Rows (N, 3072) of a pickled CIFAR-10 batch, as red, green and blue planes, and its N labels.

    Written by Python 2 or 3, protocol 0 to 4. Raises DataError, naming what was refused, for anything else.
    """
    try:
        _check_opcodes(content)
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        fields = {key.encode() if isinstance(key, str) else key: value for key, value in batch.items()}
        rows, labels = fields[b"data"].array(), fields[b"labels"]
        _check_fields(rows, labels)
    except Exception as error:  # a hostile pickle can raise anything
        detail = str(error) if isinstance(error, pickle.UnpicklingError) else f"{type(error).__name__}: {error}"
        raise DataError(
            f"{where}: refused as a CIFAR-10 batch: {detail[:300]}",
            "Use the official file, from https://www.cs.toronto.edu/~kriz/cifar.html",
        ) from error
    return rows, labels


def _check_fields(rows: NDArray[np.uint8], labels: object) -> None:
    if rows.ndim != 2 or rows.shape[1] != 3072:  # noqa: PLR2004
        raise pickle.UnpicklingError(f"its images have the shape {rows.shape}; (N, 3072) is expected")
    if type(labels) is not list or not all(type(label) is int for label in labels):
        raise pickle.UnpicklingError("its labels are not a list of whole numbers")


def _check_opcodes(content: bytes) -> None:
    tuples = 0
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name not in _OPCODES:
            raise pickle.UnpicklingError(f"it holds the opcode {opcode.name}, which no CIFAR-10 batch needs")
        if opcode.name in {"PUT", "BINPUT", "LONG_BINPUT"} and not 0 <= (argument or 0) <= _MOST_MEMO:
            raise pickle.UnpicklingError(f"it keeps an object under the number {argument}")
        tuples += opcode.name.startswith("TUPLE")
    if tuples > _MOST_TUPLES:
        raise pickle.UnpicklingError(f"it holds {tuples} tuples, which no CIFAR-10 batch needs")

"""A line of a log: one JSON object, with a checksum by which a byte that changed later is found."""

from __future__ import annotations

import json
import zlib
from typing import Any

_CHECKSUM = "crc"  # CRC-32 of the line's JSON without this key


def encode_line(value: dict[str, Any]) -> bytes:
    """Return the line for a value, with its end. `ValueError` for a number that JSON does not have."""
    text = json.dumps(value, allow_nan=False)
    return json.dumps({**value, _CHECKSUM: zlib.crc32(text.encode())}).encode() + b"\n"


def decode_line(line: bytes) -> Any:
    """Return the value of a line; `ValueError`, in words that follow "line 7", if it is damaged."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not JSON") from error
    return check_line(value)


def check_line(value: Any) -> Any:
    """Return a parsed line without its checksum, which earlier versions did not write; `ValueError` if it is wrong."""
    if isinstance(value, dict) and _CHECKSUM in value:
        expected = value.pop(_CHECKSUM)
        if expected != zlib.crc32(json.dumps(value).encode()):
            raise ValueError("was changed after it was written")
    return value

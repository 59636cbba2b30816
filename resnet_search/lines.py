"""A line of a log: a JSON object with a checksum, which reveals a changed byte."""

from __future__ import annotations

import json
import zlib
from typing import Any

_CHECKSUM = "crc"  # CRC-32 of the line's JSON without this key


def encode_line(value: dict[str, Any]) -> bytes:
    """Encode a value as a line with a line break. `ValueError` for NaN and infinities."""
    text = json.dumps(value, allow_nan=False)
    return json.dumps({**value, _CHECKSUM: zlib.crc32(text.encode())}).encode() + b"\n"


def decode_line(line: bytes) -> Any:
    """Decode a line; `ValueError` if it is damaged, with a message that continues "line 7 ..."."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not JSON") from error
    return check_line(value)


def check_line(value: Any) -> Any:
    """Return a parsed line without its checksum; `ValueError` if that is wrong. Lines of earlier versions have none."""
    if isinstance(value, dict) and _CHECKSUM in value:
        expected = value.pop(_CHECKSUM)
        if expected != zlib.crc32(json.dumps(value).encode()):
            raise ValueError("was changed after it was written")
    return value

"""How a mistake in a space is worded: `PLACE: got VALUE; allowed: WHAT`, and for a typo the nearest name.

Values are shown as TOML writes them, cut to a line and with control characters escaped: a file may hold anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

SHOWN = 60  # characters of a wrong value; longer ones are cut


class Mistakes(list[str]):
    """The mistakes found so far, in the order found."""

    def wrong(self, place: str, value: Any, allowed: str, names: Iterable[str] = ()) -> None:
        """`value` at `place` is not allowed; `names` are those that a mistyped string may have meant."""
        self.append(f"{place}: got {show(value)}; allowed: {allowed}{_hint(value, names)}")

    def unknown(self, place: str, name: str, value: Any, names: Iterable[str]) -> None:
        """`place` ends in `name`, which means nothing there: only `names` do."""
        names = list(names)
        self.append(f"{place}: got {show(value)}, but no such name; allowed: {', '.join(names)}{_hint(name, names)}")

    def missing(self, place: str, allowed: str) -> None:
        """What must be there is not."""
        self.append(f"{place}: missing; allowed: {allowed}")


def _hint(value: Any, names: Iterable[str]) -> str:
    near = nearest(value, names)
    return f'; nearest: "{near}"' if near else ""


def nearest(value: Any, names: Iterable[str]) -> str | None:
    """The name that a mistyped `value` most likely meant."""
    names = {name.lower(): name for name in names}
    if not isinstance(value, str) or len(value) > SHOWN:
        return None
    close = get_close_matches(value.lower(), names, n=1)
    return names[close[0]] if close else None


def escape(text: str, shown: int = SHOWN) -> str:
    """Text with what is not printable escaped, cut to `shown` characters."""
    return _cut("".join(char if char.isprintable() else _escaped(char) for char in text[: shown + 1]), shown)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def show(value: Any, depth: int = 2) -> str:
    """A value as TOML writes it, cut to a line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{escape(value)}"'
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return f"an integer of {math.floor(value.bit_length() * math.log10(2)) + 1} digits"
    if isinstance(value, list | tuple):
        inside = ", ".join(show(item, depth - 1) for item in value[:SHOWN]) if depth else "…"
        return f"[{_cut(inside)}]"
    if isinstance(value, Mapping):
        items = list(value.items())[:SHOWN]
        inside = ", ".join(f"{escape(str(key))} = {show(item, depth - 1)}" for key, item in items) if depth else "…"
        return f"{{ {_cut(inside)} }}"
    return escape(str(value))


def _cut(text: str, shown: int = SHOWN) -> str:
    return text if len(text) <= shown else text[: shown - 1] + "…"

"""What one key of a space file may be: the check of a value, and the same in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["int", "float", "bool", "str"]
MAX_STAGES = 8  # the seventh halving leaves one pixel of 128


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table. `low` and `high` are allowed values themselves.

    `stages`: a value is a list of numbers, one for each stage. `many`: a list of values may stand instead of one.
    """

    kind: Kind
    doc: str
    low: float = 1
    high: float = 1
    unit: str = ""
    choices: tuple[str, ...] = ()
    stages: bool = False
    many: bool = False
    test: Callable[[Any], bool] | None = None  # instead of the kind's own, with `words` to say what passes it
    words: str = ""

    def accepts(self, value: Any) -> bool:
        """Whether one value, as TOML or JSON gives it, is permitted. A boolean is not a number."""
        if self.test is not None:
            return self.test(value)
        if self.stages:
            return isinstance(value, list | tuple) and 1 <= len(value) <= MAX_STAGES and all(map(self._accepts, value))
        return self._accepts(value)

    def _accepts(self, value: Any) -> bool:
        if self.kind == "bool":
            return isinstance(value, bool)
        if self.kind == "str":
            return isinstance(value, str) and value in self.choices
        number = isinstance(value, int if self.kind == "int" else int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high  # Never true of NaN.

    def values(self, given: Any) -> list[Any]:
        """What stands in the list `given`; `given` itself where it is no list, but one value."""
        if not isinstance(given, list | tuple):
            return [given]
        one = self.stages and bool(given) and not any(isinstance(item, list | tuple) for item in given)
        return [given] if one else list(given)

    def read(self, value: Any) -> Any:
        """A permitted value as a space holds it."""
        if self.stages:
            return tuple(value)
        return float(value) if self.kind == "float" else value

    @property
    def allowed(self) -> str:
        """The permitted values in words, for messages and documentation."""
        return f"{self._one}; one or a list" if self.many else self._one

    @property
    def _one(self) -> str:
        if self.words:
            return self.words
        if self.kind == "bool":
            return "true or false"
        if self.kind == "str":
            return ", ".join(f'"{choice}"' for choice in self.choices)
        numbers = f"{'integers' if self.kind == 'int' else 'numbers'} from {self.low:,} to {self.high:,}"
        return f"lists of {numbers}, one for each of at most {MAX_STAGES} stages" if self.stages else numbers

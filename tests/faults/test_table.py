"""The page of faults is what the tests say."""

from __future__ import annotations

from .table import PAGE, PARTS, Fault, fault, faults, page


def test_the_page_is_up_to_date() -> None:
    """Regenerate with: python -m tests.faults.table"""
    assert PAGE.read_text(encoding="utf-8") == page(faults())


def test_a_row_names_its_test() -> None:
    @fault("crash", "a | b", keras_tuner="worse", here="better")
    def test_something() -> None:
        """A test like any other."""

    row: Fault = test_something.fault  # type: ignore[attr-defined]
    text = page([row])
    assert "| a \\| b | worse | better | `tests/faults/test_table.py::test_something` |" in text
    assert PARTS["crash"] in text
    assert PARTS["disk"] not in text


def test_each_fault_is_told_once() -> None:
    told = [(row.part, row.what) for row in faults()]
    assert len(told) == len(set(told))

from __future__ import annotations

from resnet_search.report.glossary import TERMS, find


def test_terms_are_found_as_words():
    assert find("Brackets have rungs.") == [(0, 8, "bracket"), (14, 19, "rung")]
    assert find("strung bracketed sub-trial epochal") == []


def test_the_longest_term_counts():
    assert [term for *_, term in find("validation accuracy, Pareto front")] == [
        "validation accuracy",
        "Pareto front",
    ]


def test_each_term_finds_itself():
    for term in TERMS:
        assert find(term)[0] == (0, len(term), term)

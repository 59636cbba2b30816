"""Hyperparameters as Keras Tuner writes them, as the values that it draws."""

from __future__ import annotations

from typing import Any

import keras_tuner
import pytest

from resnet_search.search.project import _hyperparameter, _last_words, _merged
from resnet_search.spaces.schema import Range

pytestmark = pytest.mark.interface

KINDS: dict[str, tuple[Any, Any]] = {
    "choice": (lambda hp: hp.Choice("x", [3, 1, 2]), (3, 1, 2)),
    "boolean": (lambda hp: hp.Boolean("x"), (False, True)),
    "fixed": (lambda hp: hp.Fixed("x", 7), (7,)),
    "int": (lambda hp: hp.Int("x", 2, 5), (2, 3, 4, 5)),
    "int by steps": (lambda hp: hp.Int("x", 8, 32, step=8), (8, 16, 24, 32)),
    "int that steps over its end": (lambda hp: hp.Int("x", 1, 6, step=2), (1, 3, 5)),
    "int by factors": (lambda hp: hp.Int("x", 4, 64, step=2, sampling="log"), (4, 8, 16, 32, 64)),
    "int of a logarithm": (lambda hp: hp.Int("x", 1, 100, sampling="log"), Range(1, 100, log=True)),
    "long int": (lambda hp: hp.Int("x", 0, 10**6), Range(0, 10**6)),
    "float": (lambda hp: hp.Float("x", 0.0, 0.5), Range(0.0, 0.5)),
    "float of a logarithm": (lambda hp: hp.Float("x", 1e-4, 1e-1, sampling="log"), Range(1e-4, 1e-1, log=True)),
    "float by steps": (lambda hp: hp.Float("x", 0.0, 0.3, step=0.1), (0.0, 0.1, 0.2, 0.3)),
    "float by factors": (lambda hp: hp.Float("x", 0.001, 0.1, step=10, sampling="log"), (0.001, 0.01, 0.1)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind):
    declare, values = KINDS[kind]
    hp = keras_tuner.HyperParameters()
    declare(hp)
    [described] = hp.get_config()["space"]
    found = _hyperparameter(described)
    assert found.values == values
    for seed in range(20):
        drawn = hp.space[0].random_sample(seed)
        if isinstance(values, Range):
            assert values.min <= drawn <= values.max
        else:
            assert any(drawn == pytest.approx(value) for value in values)


def test_a_name_under_two_conditions_has_the_values_of_both():
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Choice("x", [1, 2])
    described = hp.get_config()["space"]
    other = {**described[1], "config": {**described[1]["config"], "values": [2, 4]}}
    found = {one.name: one for one in _merged(map(_hyperparameter, [*described, other]))}
    assert found["x"].values == (1, 2, 4)
    # It may be absent, so nothing stands in for it.
    assert found["x"].default is None
    assert found["kind"].default == "a"


def test_the_last_words_of_a_traceback():
    message = 'Traceback (most recent call last):\n  File "a.py", line 1\n    x\nValueError: too\nlarge\n'
    assert _last_words(message) == "ValueError: too large"
    assert _last_words("") == ""
    assert _last_words("one line") == "one line"

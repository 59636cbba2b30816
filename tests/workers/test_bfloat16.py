"""The trial of bfloat16 on this processor, with times of its own."""

from __future__ import annotations

from itertools import cycle

import pytest

from resnet_search.workers import bfloat16


@pytest.mark.parametrize(("share", "faster"), [(0.7, True), (0.89, True), (0.91, False), (1.8, False)])
def test_bfloat16_has_to_be_a_tenth_faster(monkeypatch, share, faster):
    noise = cycle((3.0, 1.0, 2.0))  # each type has each of them in turn

    def seconds(step):
        gradient, of_kernel = step()
        assert gradient.shape == (64, 32, 32, 16)
        assert of_kernel.shape == (3, 3, 16, 16)
        return next(noise) * {"float32": 1.0, "bfloat16": share}[gradient.dtype.name]

    monkeypatch.setattr(bfloat16, "_seconds", seconds)
    bfloat16.is_faster.cache_clear()
    assert bfloat16.is_faster() == faster
    bfloat16.is_faster.cache_clear()

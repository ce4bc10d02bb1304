"""Sums of products over an axis, one without length among them."""

from __future__ import annotations

import numpy as np

from runner.numerics.moments import products_summed


def test_sums_over_nothing_are_zero_whatever_the_memory_held() -> None:
    for _ in range(100):
        held = [np.full((4, 8), np.nan) for _ in range(8)]
        del held
        assert (products_summed(np.empty((4, 8, 0)), np.empty((8, 0))) == 0.0).all()


def test_sums_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    left = rng.normal(size=(3, 4, 5))
    right = rng.normal(size=(4, 5))
    expected = [[sum(left[t, n] * right[n]) for n in range(4)] for t in range(3)]
    np.testing.assert_allclose(products_summed(left, right), expected, rtol=1e-13)

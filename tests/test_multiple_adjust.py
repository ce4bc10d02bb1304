"""Adjusted p-values are those of statsmodels; hurdles and Sharpe ratios are the papers' own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from runner.trials import adjust
from runner.trials.hurdles import (
    Track,
    deflated_sharpe,
    expected_maximum,
    hurdles,
    probabilistic_sharpe,
    track,
)

REL = 1e-12  # a handful of products each
METHODS = {
    "holm": adjust.holm,
    "fdr_bh": adjust.benjamini_hochberg,
    "fdr_by": adjust.benjamini_yekutieli,
}
DAY = Track(1250, 2.5 / np.sqrt(250), -3.0, 10.0)  # the example of Bailey and Lopez de Prado (2014)


def values(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.round(rng.random(n) ** 4, 4)  # ties, small ones and exact zeros


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("seed", "n", "more"), [(0, 1, 0), (1, 7, 0), (2, 200, 0), (3, 40, 12), (4, 1, 9)]
)
def test_as_statsmodels_with_unknown_trials_as_one(
    method: str, seed: int, n: int, more: int
) -> None:
    p = values(seed, n)
    expected = multipletests(np.append(p, np.ones(more)), method=method)[1][:n]
    np.testing.assert_allclose(METHODS[method](p, n + more), expected, rtol=REL)
    holes = np.insert(p, 0, [np.nan] * more)
    found = METHODS[method](holes)
    assert np.isnan(found[:more]).all()
    np.testing.assert_allclose(found[more:], expected, rtol=REL)


@pytest.mark.parametrize("method", METHODS)
def test_none_and_what_is_refused(method: str) -> None:
    assert METHODS[method](np.array([])).size == 0
    assert np.isnan(METHODS[method](np.array([np.nan]))).all()
    with pytest.raises(ValueError, match="given 1 trials with 2 p-values"):
        METHODS[method](np.array([0.1, 0.2]), 1)
    with pytest.raises(ValueError, match=r"p: given 1.5; allowed: 0 to 1"):
        METHODS[method](np.array([0.1, 1.5]))


def test_hurdles() -> None:
    assert (
        round(hurdles(np.full(1, np.nan), 0.05, 316).bonferroni, 2) == 3.78
    )  # Harvey, Liu and Zhu (2016), in 2012
    p = values(2, 200)
    found = hurdles(p, 0.05, 220)
    np.testing.assert_allclose(
        [found.single, found.bonferroni], norm.isf([0.025, 0.025 / 220]), rtol=REL
    )
    for method, hurdle in (("holm", found.holm), ("fdr_by", found.bhy)):
        kept = multipletests(np.append(p, np.ones(20)), 0.05, method)[0][:200]
        t = norm.isf(p / 2.0)
        assert 0 < kept.sum() < 200 and (t[kept] > hurdle).all() and (t[~kept] < hurdle).all()
    none = hurdles(np.full(50, 0.9))
    assert none.holm == none.bonferroni
    assert hurdles(np.zeros(3)).holm == pytest.approx(norm.isf(0.025), rel=REL)
    with pytest.raises(ValueError, match="given 0 trials"):
        hurdles(np.array([]))


def test_the_example_of_the_deflated_sharpe_ratio() -> None:
    assert expected_maximum(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)  # as printed
    assert deflated_sharpe(DAY, 100, 0.5 / 250) == pytest.approx(0.9004, abs=5e-5)
    assert deflated_sharpe(DAY, 1, 0.5 / 250) == probabilistic_sharpe(DAY)


def test_the_expected_maximum_by_simulation() -> None:
    drawn = np.random.default_rng(0).normal(size=(20_000, 50)).max(axis=1)
    assert expected_maximum(50, 4.0) == pytest.approx(
        2.0 * drawn.mean(), rel=0.02
    )  # the formula is 1.2 % above
    assert expected_maximum(1, 4.0) == 0.0
    with pytest.raises(ValueError, match="given 0, 1"):
        expected_maximum(0, 1.0)


def test_the_error_of_a_sharpe_ratio_by_simulation() -> None:
    """Under the true ratio as benchmark the probabilistic one is uniform, skewed and heavy-tailed returns too."""
    rng = np.random.default_rng(1)
    x = rng.exponential(size=(1200, 400)) - 0.8  # mean .2, deviation 1
    found = np.array([probabilistic_sharpe(track(one), 0.2) for one in x])
    for level, off in (
        (0.05, 0.02),
        (0.5, 0.045),
        (0.95, 0.02),
    ):  # three errors of a share of 1,200 draws
        assert np.mean(found < level) == pytest.approx(level, abs=off)


def test_the_moments_of_a_track_record() -> None:
    x = np.array([0.01, np.nan, -0.02, 0.03, 0.01])
    y = x[np.isfinite(x)]
    away = y - y.mean()
    skew, kurtosis = (np.mean(away**k) / np.mean(away**2) ** (k / 2) for k in (3, 4))
    np.testing.assert_allclose(track(x), [4, y.mean() / y.std(ddof=1), skew, kurtosis], rtol=REL)
    assert np.isnan(track(np.full(9, 0.1)).sharpe)
    assert np.isnan(probabilistic_sharpe(track(np.zeros(9))))
    with pytest.raises(ValueError, match="returns: given 1"):
        track(np.array([0.1, np.nan]))

"""The source with a known truth: it draws what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from runner.data.sources.simulation.factor_truth import YEAR, KnownTruth, SimulatedFactors

SPEC = Path(__file__).parents[1] / "conf" / "data" / "simulated_factors.yaml"
SMALL = SimulatedFactors(rows=300, assets=5, factors=2, seed=7)
LONG = replace(SMALL, rows=40_000, alpha_spread=0.0005, factor_correlation=0.4)
# Draws are a function of the seed: a statistic within four standard errors stays there.
SURE = 4.0


def least_squares(F: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimates (1 + m, n), their errors, and residual variances (n,)."""
    X = np.column_stack([np.ones(len(F)), F])
    b = np.linalg.lstsq(X, y, rcond=None)[0]
    variance = np.sum((y - X @ b) ** 2, axis=0) / (len(F) - X.shape[1])
    return b, np.sqrt(np.diag(np.linalg.inv(X.T @ X))[:, None] * variance), variance


def test_the_yaml_states_the_defaults_of_the_class() -> None:
    spec = yaml.safe_load(SPEC.read_text())
    assert spec.pop("_target_") == "runner.data.SimulatedFactors"
    assert SimulatedFactors(**spec) == SimulatedFactors()
    assert set(spec) == set(SimulatedFactors.__dataclass_fields__)


def test_shapes_and_names() -> None:
    market = SMALL.load()
    assert market.assets == ["A1", "A2", "A3", "A4", "A5"]
    assert list(market.series) == ["F1", "F2"] and len(market.dates) == 300
    assert market.source == "simulated factors, seed 7"
    assert isinstance(SMALL, KnownTruth)
    F, returns = SMALL.sample(300, 0)
    np.testing.assert_array_equal(market.get("ret"), returns)
    np.testing.assert_array_equal(market.series, F)


def test_the_same_settings_give_the_same_bits_and_more_rows_leave_those_before() -> None:
    assert SMALL.load().fingerprint == SMALL.load().fingerprint
    assert SMALL.load().fingerprint != replace(SMALL, seed=8).load().fingerprint
    for short, long in zip(SMALL.sample(300, 0), SMALL.sample(900, 0), strict=True):
        np.testing.assert_array_equal(short, long[:300])
    assert (
        np.abs(np.corrcoef(SMALL.sample(300, 0)[0][:, 0], SMALL.sample(300, 1)[0][:, 0])[0, 1])
        < SURE / 300**0.5
    )


def test_regressions_find_the_truth() -> None:
    F, y = LONG.sample(LONG.rows, 0)
    truth = LONG.truth()
    b, error, variance = least_squares(F, y)
    assert (np.abs(b - np.vstack([truth.alpha, truth.loadings.T])) < SURE * error).all()
    np.testing.assert_allclose(variance, truth.specific, rtol=SURE * (2.0 / LONG.rows) ** 0.5)
    np.testing.assert_allclose(np.cov(F, rowvar=False), truth.omega, rtol=0.05)
    np.testing.assert_allclose(np.cov(y, rowvar=False), truth.covariance, rtol=0.05, atol=2e-6)
    assert (
        np.abs(np.corrcoef(y - F @ b[1:], rowvar=False) - np.eye(5)).max() < SURE / LONG.rows**0.5
    )


def test_settings_set_what_they_say() -> None:
    many = SimulatedFactors(
        assets=20_000, factors=3, beta_mean=0.9, beta_scale=0.4, noise=0.3, noise_spread=0.5
    )
    truth = many.truth()
    np.testing.assert_allclose(truth.loadings.mean(axis=0), [0.9, 0.0, 0.0], atol=0.012)
    np.testing.assert_allclose(truth.loadings.std(axis=0), 0.4, rtol=0.02)
    logs = np.log(np.sqrt(YEAR * truth.specific))
    assert np.median(logs) == pytest.approx(np.log(0.3), abs=0.015) and logs.std() == pytest.approx(
        0.5, rel=0.02
    )
    np.testing.assert_allclose(
        np.sqrt(YEAR * np.diag(truth.omega)), 0.16 * 0.7 ** np.arange(3), rtol=1e-12
    )
    assert not truth.change.any() and not truth.alpha.any()


@pytest.mark.parametrize("seed", [0, 1])
def test_loadings_break_and_drift_as_told(seed: int) -> None:
    broken = replace(LONG, change="break", change_at=0.25, seed=seed)
    F, y = broken.sample(40_000, 0)
    truth = broken.truth()
    for part, expected in ((slice(0, 10_000), 0.0), (slice(10_000, None), 1.0)):
        b, error, _ = least_squares(F[part], y[part])
        assert (
            np.abs(b[1:] - (truth.loadings + expected * truth.change).T) < SURE * error[1:]
        ).all()
    F, y = replace(broken, change="drift").sample(40_000, 0)
    for part, expected in ((slice(0, 4_000), 0.05), (slice(36_000, None), 0.95)):
        b, error, _ = least_squares(F[part], y[part])
        assert (
            np.abs(b[1:] - (truth.loadings + expected * truth.change).T) < SURE * error[1:]
        ).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"factors": 3, "factor_correlation": -0.5},
            "factor_correlation: given -0.5; allowed: above -0.5 with 3",
        ),
        (
            {"rows": 10**8, "assets": 100},
            "rows: 100000000 times 100 assets; allowed: 1,000,000,000 numbers",
        ),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SimulatedFactors(**settings)


def test_one_asset_one_factor_one_row() -> None:
    market = SimulatedFactors(rows=1, assets=1, factors=1).load()
    assert market.get("ret").shape == (1, 1) and np.isfinite(market.get("ret")).all(axis=None)

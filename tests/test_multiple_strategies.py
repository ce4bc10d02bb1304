"""Overfitting by a naive loop over the halves; forecasts compared as arch does it."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import MCS, SPA
from scipy.stats import linregress, rankdata

from runner.errors import DataError
from runner.trials.losses import (
    Losses,
    block_of,
    long_run_variance,
    losses_of,
    may_be_best,
    paired_draws,
    superior,
)
from runner.trials.overfitting import overfitting

REL = 1e-9  # ratios from sums of squares about the mean


def naive(x: np.ndarray, blocks: int) -> pd.DataFrame:
    """Every half by itself."""
    edges, rows = np.linspace(0, len(x), blocks + 1).astype(int), []
    parts = [x[a:b] for a, b in pairwise(edges)]
    for take in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[k] for k in take])
        outside = np.concatenate([parts[k] for k in range(blocks) if k not in take])
        seen, ahead = (one.mean(axis=0) / one.std(axis=0, ddof=1) for one in (inside, outside))
        best = int(seen.argmax())
        rank = rankdata(ahead)[best] / (x.shape[1] + 1)
        rows.append((best, seen[best], ahead[best], rank, np.log(rank / (1 - rank))))
    return pd.DataFrame(rows, columns=["chosen", "in_sample", "out_of_sample", "rank", "logit"])


@pytest.mark.parametrize(
    ("T", "S", "blocks", "scale"), [(103, 5, 6, 1e-2), (64, 2, 8, 1e-9), (40, 9, 4, 1e6)]
)
def test_overfitting_as_a_loop(T: int, S: int, blocks: int, scale: float) -> None:
    x = scale * (np.random.default_rng(T).normal(size=(T, S)) + 0.1 * np.arange(S))
    found, expected = overfitting(x, blocks), naive(x, blocks)
    pd.testing.assert_frame_equal(found.logits, expected, rtol=REL)
    line = linregress(expected["in_sample"], expected["out_of_sample"])
    np.testing.assert_allclose(
        [found.slope, found.intercept, found.r2], [line.slope, line.intercept, line.rvalue**2]
    )
    assert found.pbo == np.mean(expected["logit"] <= 0) and found.loss == np.mean(
        expected["out_of_sample"] < 0
    )


def test_luck_and_skill_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(640, 40))
    assert 0.3 < np.mean([overfitting(rng.normal(size=(320, 20)), 8).pbo for _ in range(30)]) < 0.7
    noise[:, 7] += 0.3
    skill = overfitting(noise)
    assert (
        skill.pbo < 0.01
        and len(skill.logits) == 12_870
        and (skill.logits["chosen"] == 7).mean() > 0.95
    )


def test_rows_without_a_return_and_strategies_that_do_nothing() -> None:
    x = np.random.default_rng(1).normal(size=(50, 3))
    x[:, 2] = 0.0
    x[4, 0] = np.nan
    found = overfitting(x, 4)
    assert (found.rows, found.dropped) == (49, 1)
    y = np.delete(x, 4, axis=0)
    with np.errstate(invalid="ignore"):
        expected = naive(
            np.column_stack([y[:, :2], y[:, :1]]), 4
        )  # the idle one has a ratio of zero: rank by hand
    busy = expected[["in_sample", "out_of_sample"]].to_numpy()
    own = found.logits["chosen"] < 2
    np.testing.assert_allclose(found.logits.loc[own, "in_sample"], busy[own, 0], rtol=REL)
    assert (found.logits.loc[~own, ["in_sample", "out_of_sample"]] == 0.0).all(axis=None)
    level = overfitting(np.column_stack([x[:, 1] + 0.1, np.full(50, 0.1)]), 4).logits
    assert (level.loc[level["chosen"] == 1, "in_sample"] == 0.0).all()


def test_what_overfitting_refuses() -> None:
    x = np.zeros((40, 2))
    for blocks in (3, 0, 22):
        with pytest.raises(ValueError, match=f"blocks: given {blocks}; allowed: an even number"):
            overfitting(x, blocks)
    with pytest.raises(DataError, match="31 common rows of 2 strategies; needs 32 and 2"):
        overfitting(x[:31], 16)
    with pytest.raises(DataError, match="40 common rows of 1 strategies"):
        overfitting(x[:, :1], 4)


def test_equal_strategies_share_their_rank() -> None:
    x = np.random.default_rng(2).normal(size=(40, 1))
    found = overfitting(np.tile(x, 3), 4)
    assert (found.logits["rank"] == 0.5).all() and found.pbo == 1.0


def gains(seed: int, T: int = 150, S: int = 5, better: float = 0.0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(T, S)) * np.arange(1, S + 1)
    x[1:] += 0.5 * x[:-1]
    x[:, 0] += better
    return x


def test_the_long_run_variance_as_the_sum_that_defines_it() -> None:
    x, block = gains(0), 7
    away, T, q = x - x.mean(axis=0), len(x), 1 - 1 / block
    expected = (away**2).sum(axis=0) / T
    for lag in range(1, T):
        weight = (1 - lag / T) * q**lag + lag / T * q ** (T - lag)
        expected += 2 * weight * (away[lag:] * away[:-lag]).sum(axis=0) / T
    np.testing.assert_allclose(long_run_variance(x, block), expected, rtol=REL)


def test_superior_ability_as_arch_on_gains_over_their_errors() -> None:
    x = gains(0, better=0.1)
    found = superior(x, 300, 7, seed=3)
    unit = x / np.sqrt(long_run_variance(x, 7))
    oracle = SPA(np.zeros(len(x)), -unit, 7, 300, seed=3)
    oracle.compute()
    assert [found.lower, found.consistent, found.upper] == list(oracle.pvalues) and found.block == 7
    scaled = superior(x * [1.0, 1e-6, 1e6, 3.0, 1.0], 300, 7, seed=3)
    np.testing.assert_allclose(
        found[:3], scaled[:3], atol=1.5 / 300
    )  # one draw may tip over by rounding
    assert superior(gains(1, better=1.0), 300, seed=0).consistent < 0.01


def test_superior_ability_without_differences_or_dates() -> None:
    x = gains(0)
    x[:, 1] = 0.0
    same = superior(x, 200, 5)
    assert same == superior(np.delete(x, 1, axis=1), 200, 5)
    with pytest.raises(DataError, match="no forecast differs from its benchmark"):
        superior(np.zeros((30, 2)))
    with pytest.raises(DataError, match="19 dates common to all; needs 20"):
        superior(x[:19])
    assert (block_of(125, 1, None), block_of(125, 9, None), block_of(125, 9, 2)) == (5, 9, 2)


def test_who_may_be_best_as_arch_and_equal_losses_share() -> None:
    table = pd.DataFrame(gains(2) ** 2, columns=list("abcde"))
    oracle = MCS(table, 0.1, 300, 6, seed=1)
    oracle.compute()
    p = may_be_best(table, 300, 6, 1)
    np.testing.assert_allclose(p, oracle.pvalues["Pvalue"].reindex(list("abcde")), rtol=REL)
    twice = may_be_best(table.assign(f=table["b"]), 300, 6, 1)
    assert list(twice.index) == list("abcdef") and twice["f"] == twice["b"] and twice["a"] == p["a"]
    assert list(may_be_best(table[["a"]], 300, 6, 1)) == [1.0]


def test_who_may_be_best_of_very_many() -> None:
    assert [paired_draws(models, 1000) for models in (2, 141, 200, 400)] == [1000, 1000, 500, 125]
    many = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 401)))
    many[7] += 50.0
    p = may_be_best(many, 50, 2, 0)
    assert p[7] == 0.0 and (p.drop(7) > 0.1).any()


def forecasts(seed: int, fold: str = "1") -> pd.DataFrame:
    rng, y = np.random.default_rng(seed), np.random.default_rng(99).normal(size=60)
    index = pd.MultiIndex.from_product(
        [pd.date_range("2020-01-01", periods=20), list("xyz")], names=["date", "asset"]
    )
    table = pd.DataFrame(
        {"fold": fold, "path": 1, "y": y, "prediction": rng.normal(size=60), "benchmark": 0.1},
        index,
    )
    return table.reset_index()


def losses(tables: dict[str, pd.DataFrame]) -> Losses:
    """The losses of these predictions, each read where it is needed."""
    return losses_of({name: table.copy for name, table in tables.items()})


def test_losses_are_of_the_cells_that_all_forecast() -> None:
    a, b = (
        forecasts(0).drop(index=[0, 1, 2, 7]),
        forecasts(1).drop(index=[20]).sample(frac=1.0, random_state=0),
    )
    held = pd.concat([forecasts(2)[:30], forecasts(2, "holdout")[30:]])
    found = losses({"a": a, "b": b})
    joint = a.merge(b, on=["date", "asset"])
    for name, column in (("a", "prediction_x"), ("b", "prediction_y")):
        expected = ((joint["y_x"] - joint[column]) ** 2).groupby(joint["date"]).mean()
        np.testing.assert_allclose(found.ours[name], expected, rtol=REL)
    expected = ((joint["y_x"] - 0.1) ** 2).groupby(joint["date"]).mean()
    np.testing.assert_allclose(found.benchmark["b"], expected, rtol=REL)
    assert list(found.ours.index) == sorted(joint["date"].unique())
    assert len(losses({"a": a, "held": held}).ours) == 9  # the hold-out is left alone


@pytest.mark.parametrize("noise", [0.5, 0.0])
def test_losses_are_beside_the_better_of_the_mean_of_each_asset_and_their_average(
    noise: float,
) -> None:
    """Noisy means of assets lose to their average, which a pooled constant then does not beat."""
    rng = np.random.default_rng(7)
    table = forecasts(0)
    own = dict(zip("xyz", rng.normal(size=3), strict=True))
    means = table["asset"].map(own).astype(float)
    table["benchmark"] = noise * means if noise else means
    table["y"] += 0.0 if noise else 3.0 * means
    average = table.groupby("date")["benchmark"].transform("mean")
    table["prediction"] = average
    found = losses({"a": table})
    benchmark = average if noise else table["benchmark"]
    expected = ((table["y"] - benchmark) ** 2).groupby(table["date"]).mean()
    np.testing.assert_allclose(found.benchmark["a"], expected, rtol=REL)
    if noise:
        np.testing.assert_allclose(found.benchmark["a"], found.ours["a"], rtol=REL)


def test_jobs_whose_forecasts_cannot_be_compared() -> None:
    other = forecasts(1).assign(y=0.0)
    twice = pd.concat([forecasts(2), forecasts(2)])
    found = losses({"a": forecasts(0), "other": other, "twice": twice, "none": forecasts(3)[:0]})
    assert list(found.ours) == ["a"]
    reasons = ["another target than the first job", "several forecasts of a row", "no forecast"]
    assert list(found.left_out.values()) == reasons
    apart = losses({"a": forecasts(0)[:30], "b": forecasts(1)[30:]})
    assert apart.ours.empty and set(apart.left_out.values()) == {"no row that all forecast"}

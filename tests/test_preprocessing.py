"""Preprocessing by date: against naive loops, never from another date, every change counted."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from runner.errors import DataError
from runner.preprocessing import applying, steps
from runner.preprocessing.applying import Step, apply
from runner.preprocessing.steps import Cross

NAMES = ["a", "b", "c"]
EXACT = 1e-12  # sums of some twenty numbers of size one


def cross(seed: int = 0, T: int = 12, N: int = 17) -> Cross:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((T, N, 3)).round(1)  # rounded: ties
    X[rng.random(X.shape) < 0.15] = np.nan
    X[3, :, 0] = np.nan  # a date without values
    X[4, 1:, 0] = np.nan  # a date with one
    X[4, 0, 0] = 0.3
    X[5, :, 0] = 0.7  # a date on which all are the same
    others = {name: X[:, :, k] for k, name in enumerate(NAMES)}
    groups = pd.DataFrame(
        {"sector": [f"s{i % 4}" for i in range(N)]}, index=[f"A{i}" for i in range(N)]
    )
    return Cross(X, others, groups)


def by_date(one: Cross, function) -> np.ndarray:
    """The function of the known values of each date and column; where nothing is known, nothing comes out."""
    found = np.full_like(one.X, np.nan)
    for t in range(one.X.shape[0]):
        for k in range(3):
            known = ~np.isnan(one.X[t, :, k])
            if known.any():
                found[t, known, k] = function(one.X[t, known, k])
    return found


ORACLES = {
    "rank": (
        steps.rank,
        lambda x: (stats.rankdata(x) - 1) / (len(x) - 1) - 0.5 if len(x) > 1 else 0.0 * x,
    ),
    "zscore": (
        steps.zscore,
        lambda x: (x - x.mean()) / x.std(ddof=1) if len(set(x)) > 1 else np.nan * x,
    ),
    "demean": (steps.demean, lambda x: x - x.mean()),
    "winsorise": (
        partial(steps.winsorise, limit=0.1),
        lambda x: np.clip(x, *np.quantile(x, [0.1, 0.9])),
    ),
    "clip": (partial(steps.clip, low=-0.5, high=0.4), lambda x: np.clip(x, -0.5, 0.4)),
}


@pytest.mark.parametrize("name", ORACLES)
def test_step_equals_a_loop_over_dates(name: str) -> None:
    step, oracle = ORACLES[name]
    one = cross()
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(step(one), by_date(one, oracle), rtol=EXACT, atol=EXACT)


def test_demean_and_fill_by_group() -> None:
    one = cross(1)
    sector = one.groups["sector"].to_numpy()
    demeaned, filled = (
        steps.demean(one, group="sector"),
        steps.fill(one, value="mean", group="sector"),
    )
    for t in range(12):
        for name in np.unique(sector):
            part = one.X[t, sector == name, 1]
            if np.isnan(part).all():
                continue
            np.testing.assert_allclose(
                demeaned[t, sector == name, 1], part - np.nanmean(part), atol=EXACT
            )
            wanted = np.where(np.isnan(part), np.nanmean(part), part)
            np.testing.assert_allclose(filled[t, sector == name, 1], wanted, atol=EXACT)


@pytest.mark.parametrize(
    ("value", "typical"), [("mean", np.nanmean), ("median", np.nanmedian), (0.2, lambda x: 0.2)]
)
def test_fill_takes_what_is_typical_of_the_date(value, typical) -> None:
    one = cross(2)
    filled = steps.fill(one, value=value)
    for t in [0, 1, 2, 4, 6]:
        missing = np.isnan(one.X[t, :, 0])
        np.testing.assert_allclose(filled[t, missing, 0], typical(one.X[t, :, 0]), atol=EXACT)
        np.testing.assert_array_equal(filled[t, ~missing, 0], one.X[t, ~missing, 0])
    assert np.isnan(filled[3, :, 0]).all() == isinstance(value, str)


@pytest.mark.parametrize(
    "settings",
    [{"group": "sector"}, {"against": ["b"]}, {"group": "sector", "against": ["b", "c"]}],
)
def test_neutralise_gives_the_residuals_of_statsmodels(settings: dict) -> None:
    one = cross(3, N=40)
    found = steps.neutralise(one, **settings)
    for t in (0, 1, 7, 11):
        Z = pd.DataFrame({name: one.others[name][t] for name in settings.get("against", [])})
        if "group" in settings:
            Z = pd.concat(
                [Z, pd.get_dummies(one.groups["sector"].reset_index(drop=True), dtype=float)],
                axis=1,
            )
        else:
            Z = sm.add_constant(Z)
        own = ~np.isnan(one.X[t, :, 0]) & Z.notna().all(axis=1).to_numpy()
        wanted = sm.OLS(one.X[t, own, 0], Z[own]).fit().resid
        np.testing.assert_allclose(found[t, own, 0], wanted, atol=1e-10)
        assert np.isnan(found[t, ~own, 0]).all()


EVERY = {
    "rank": steps.rank, "zscore": steps.zscore, "demean": partial(steps.demean, group="sector"),
    "winsorise": partial(steps.winsorise, limit=0.2), "clip": partial(steps.clip, low=-1.0),
    "fill": partial(steps.fill, group="sector"),
    "neutralise": partial(steps.neutralise, group="sector", against=["b"]),
}  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_a_date_depends_on_that_date_only(name: str) -> None:
    one, other = cross(4), cross(5)
    for t in range(12):
        X = other.X.copy()
        X[t] = one.X[t]
        mixed = Cross(X, {n: X[:, :, k] for k, n in enumerate(NAMES)}, one.groups)
        np.testing.assert_array_equal(EVERY[name](mixed)[t], EVERY[name](one)[t])


@pytest.mark.parametrize("name", EVERY)
def test_input_is_not_changed(name: str) -> None:
    one, again = cross(6), cross(6)
    EVERY[name](one)
    np.testing.assert_array_equal(one.X, again.X)


def test_steps_follow_each_other_on_their_features_and_are_counted() -> None:
    one = cross(7)
    chain = [
        Step(partial(steps.fill, value=0.2), "fill", ["a"]),
        Step(partial(steps.clip, high=0.5), "clip", ["a", "b"]),
    ]
    X, _, _, _, account = apply(chain, one.X, NAMES, one.groups)
    filled = np.where(np.isnan(one.X[:, :, 0]), 0.2, one.X[:, :, 0])
    np.testing.assert_array_equal(X[:, :, 0], np.minimum(filled, 0.5))
    np.testing.assert_array_equal(X[:, :, 2], one.X[:, :, 2])
    assert account == [
        ("changed value", "a filled by fill", int(np.isnan(one.X[:, :, 0]).sum())),
        ("changed value", "a clipped by clip", int((filled > 0.5).sum())),
        ("changed value", "b clipped by clip", int((one.X[:, :, 1] > 0.5).sum())),
    ]


def test_infinite_values_are_neither_used_nor_hidden() -> None:
    one = cross(8)
    X = one.X.copy()
    X[0, 2, 1] = np.inf
    found = apply([Step(steps.demean, "demean", None)], X, NAMES, one.groups).X
    assert np.isinf(found[0, 2, 1])
    assert np.isfinite(found[0, :, 1]).sum() == np.isfinite(X[0, :, 1]).sum()


def test_values_that_a_step_takes_away_are_counted() -> None:
    one = cross(9)
    account = apply([Step(steps.zscore, "zscore", ["a"])], one.X, NAMES, one.groups).account
    assert account == [
        ("changed value", "a left without a value by zscore", 17 + 1)
    ]  # the flat date, the lone asset


@pytest.mark.parametrize(
    ("settings", "line"),
    [({"group": "sektor"}, "sector"), ({"against": ["d"]}, "allowed: a, b, c")],
)
def test_what_is_not_there_is_named(settings: dict, line: str) -> None:
    with pytest.raises(DataError, match=line):
        apply(
            [Step(partial(steps.neutralise, **settings), "neutralise", None)],
            cross().X,
            NAMES,
            cross().groups,
        )


def test_forward_fill_is_that_of_pandas_and_never_from_ahead() -> None:
    one = cross(5)
    for limit in (None, 1, 2):
        found = steps.forward_fill(one, limit=limit)
        for k in range(3):
            expected = pd.DataFrame(one.X[:, :, k]).ffill(limit=limit).to_numpy()
            np.testing.assert_array_equal(found[:, :, k], expected)


def test_cells_left_out_are_counted_once_and_in_no_later_mean() -> None:
    X = np.array(
        [[[1.0, 5.0, 2.0], [3.0, np.nan, np.nan], [np.nan, np.nan, np.nan], [9.0, 1.0, np.nan]]]
    )
    groups = pd.DataFrame({"sector": ["s"] * 4}, index=list("ABCD"))
    chain = [
        Step(partial(steps.universe, by="b", low=2.0), "universe", None),  # B, C without b, D below
        Step(partial(steps.drop_sparse, most=0.5), "drop_sparse", None),  # B, C, out already
        Step(partial(steps.fill, value="mean"), "fill", None),
        Step(partial(steps.fill, value=0.2), "fill", None),
    ]
    found = apply(chain, X, NAMES, groups)
    assert found.keep.tolist() == [[True, False, False, False]]
    assert found.account == [("asset-date", "outside the universe: b from 2", 3)]
    assert np.isnan(found.X[0, 1:]).all() and found.X[0, 0].tolist() == [1.0, 5.0, 2.0]
    found = apply(chain[1:], X, NAMES, groups)
    assert found.keep.tolist() == [[True, False, False, True]]
    assert found.account == [
        ("asset-date", "more than 50 % of its features missing", 2),
        ("changed value", "c filled by fill (step 2)", 1),
    ]
    assert found.X[0, 3].tolist() == [9.0, 1.0, 2.0]
    with pytest.raises(
        DataError, match=r"preprocess\[0\].by: 'B' is unknown; allowed: a, b, c; did you mean 'b'"
    ):
        apply([Step(partial(steps.universe, by="B"), "universe", None)], X, NAMES, groups)


def test_a_share_of_missing_features_that_is_just_allowed_stays() -> None:
    X = np.full((1, 2, 4), np.nan)
    X[0, 0, 0] = 1.0  # three of four are missing: not more than 75 %
    found = apply(
        [Step(steps.drop_sparse, "drop_sparse", None)], X, ["a", "b", "c", "d"], pd.DataFrame()
    )
    assert found.keep.tolist() == [[True, False]]


def test_the_target_is_clipped_and_logged_in_order_and_taken_back() -> None:
    y = np.array([[0.01, 0.5, 7.0, np.nan, np.inf, -1.0]])
    X = np.ones((1, 6, 1))
    chain = [
        Step(partial(steps.clip, low=-2.0, high=2.0), "clip", ["target"]),
        Step(steps.log, "log", ["target", "a"]),
    ]
    found = apply(chain, X, ["a"], pd.DataFrame(), y)
    np.testing.assert_array_equal(
        found.y, [[np.log(0.01), np.log(0.5), np.log(2.0), np.nan, np.inf, np.nan]]
    )
    assert found.back == ("exp",) and (found.X == 0.0).all() and (X == 1.0).all()
    assert (
        found.account
        == [
            ("changed value", "target clipped by clip", 1),
            ("changed value", "a left without a value by log", 0),
            ("changed value", "target left without a value by log", 1),
        ][::2]
    )


def test_some_dates_at_a_time_give_what_all_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    one = cross()
    y = one.X[:, :, 1] * 3.0
    every = [
        steps.rank,
        steps.zscore,
        steps.demean,
        partial(steps.winsorise, limit=0.1),
        partial(steps.fill, value=0.1),
    ]
    clip = Step(partial(steps.clip, low=-0.2, high=0.2), "clip", [*NAMES, applying.TARGET])
    sparse = Step(partial(steps.drop_sparse, most=0.5), "drop_sparse", None)
    forward = Step(partial(steps.forward_fill, limit=2), "forward_fill", ["a", "b"])
    for chain in (
        [sparse, forward, clip],
        *([forward, Step(step, "step", None)] for step in every),
    ):
        monkeypatch.setattr(applying, "CELLS", 10**9)
        whole = apply(chain, one.X, NAMES, one.groups, y)
        assert whole.account
        for cells in (1, 5 * 17):
            monkeypatch.setattr(applying, "CELLS", cells)
            found = apply(chain, one.X, NAMES, one.groups, y)
            for name in ("X", "y", "keep"):
                np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
            assert found.account == whole.account
    np.testing.assert_array_equal(y, one.X[:, :, 1] * 3.0)

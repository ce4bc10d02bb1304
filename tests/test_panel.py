"""The panel: every cell kept or counted, every mistake told at once, nobody's data written to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK

from runner.data.market import Market
from runner.data.notices import Dropped
from runner.errors import DataError
from runner.panels.building import build_panel
from runner.panels.numbers import usable
from runner.panels.panel import Panel
from runner.panels.rows import known, rows_of
from runner.targets import Target, forward_return, same_period_return

DATES = pd.bdate_range("2020-01-01", periods=6, name="date")
ASSETS = ["A", "B", "C"]
Feature = Callable[[Market], Any]


def market(**fields: np.ndarray) -> Market:
    close = 100.0 + np.arange(18.0).reshape(6, 3) ** 1.5
    frames = {
        name: pd.DataFrame(cells, DATES, ASSETS)
        for name, cells in ({"close": close} | fields).items()
    }
    series = pd.DataFrame({"rate": np.arange(6.0)}, DATES)
    groups = pd.DataFrame({"sector": ["X", "Y", "X"]}, index=ASSETS)
    return Market(
        "here", frames, series, frames["close"]["A"], groups, (Dropped("source row", "why", 7),)
    )


def frame(data: Market) -> pd.DataFrame:
    return data.get("close") * 2.0


def series(data: Market) -> pd.Series:
    return data.shared("rate")


def level(data: Market) -> Target:
    """A target on every cell."""
    return Target(data.get("close"), 0)


def build(features: dict[str, Feature], target: Any = level, data: Market | None = None) -> Panel:
    whole = build_panel(data or market(), features, target)
    return rows_of(whole, list(features), "own", None)[0]


def refused(
    features: dict[str, Feature], target: Any = level, data: Market | None = None
) -> list[str]:
    with pytest.raises(DataError) as caught:
        build(features, target, data)
    lines = list(caught.value.mistakes)
    assert lines and all(line and len(line.splitlines()) == 1 for line in lines), lines
    return lines


def test_frames_and_series_side_by_side() -> None:
    data = market()
    panel = build({"f": frame, "s": series}, same_period_return, data)
    assert panel.names == ["f", "s"] and panel.assets == ASSETS
    assert panel.dates.equals(DATES)
    assert panel.y.shape == (6, 3) and panel.X.shape == (6, 3, 2)
    np.testing.assert_array_equal(panel.X[:, :, 0], data.get("close") * 2)
    for asset in range(3):
        np.testing.assert_array_equal(panel.X[:, asset, 1], np.arange(6.0))
    assert panel.valid.tolist() == [[False] * 3] + [[True] * 3] * 5
    assert panel.horizon == 0
    assert panel.groups.equals(data.groups)
    assert panel.dropped == (
        Dropped("source row", "why", 7),
        Dropped("asset-date", "target is missing", 3),
    )
    assert panel.dropped_cells == 3


def test_columns_go_by_name_not_by_place() -> None:
    data = market()
    panel = build({"f": lambda one: frame(one)[["C", "A", "B"]].assign(Z=0.0)}, level, data)
    np.testing.assert_array_equal(panel.X[:, :, 0], data.get("close") * 2)
    panel = build({}, lambda one: Target(one.get("close")[["C", "B", "A"]], 0), data)
    np.testing.assert_array_equal(panel.y, data.get("close"))


def test_a_panel_without_features_is_the_target() -> None:
    panel = build({})
    assert panel.X.shape == (6, 3, 0) and panel.valid.all()


def test_daily_features_are_read_on_the_rows_of_a_weekly_target() -> None:
    data = market()  # Wednesday to Wednesday
    keep = {"frequency": "week", "partial": "keep"}
    panel = build({"f": frame, "s": series}, lambda one: forward_return(one, **keep), data)
    assert [day.weekday() for day in panel.dates] == [4, 2]
    np.testing.assert_array_equal(panel.X[:, :, 0], data.get("close").iloc[[2, 5]] * 2)
    np.testing.assert_array_equal(panel.X[:, 0, 1], [2.0, 5.0])
    rate = {"w": lambda one: one.sample("week", "keep").shared("rate")}
    weekly = build(rate, lambda one: forward_return(one, **keep))
    np.testing.assert_array_equal(weekly.X[:, 0, 0], [2.0, 5.0])


values = st.sampled_from([1.0, 2.0, np.nan, np.inf, -np.inf])
cells = st.lists(values, min_size=18, max_size=18).map(lambda some: np.array(some).reshape(6, 3))


@given(cells, cells, st.lists(values, min_size=6, max_size=6))
@QUICK
def test_every_cell_is_kept_or_counted_once_under_its_first_reason(
    y: np.ndarray, x: np.ndarray, s: list[float]
) -> None:
    data = market(y=y, x=x)
    features: dict[str, Feature] = {
        "x": lambda one: one.get("x"),
        "s": lambda one: pd.Series(s, DATES),
    }
    expected: dict[str, int] = {}
    usable = 0
    for t in range(6):
        for i in range(3):
            for name, value in (("target", y[t, i]), ("x", x[t, i]), ("s", s[t])):
                if not np.isfinite(value):
                    reason = f"{name} is {'missing' if np.isnan(value) else 'infinite'}"
                    expected[reason] = expected.get(reason, 0) + 1
                    break
            else:
                usable += 1
    target = lambda one: Target(one.get("y"), 0)  # noqa: E731
    if not usable:
        (line,) = refused(features, target, data)
        assert line.startswith(
            "panel: no observation has a target and every feature on 2020-01-01..2020-01-08: "
        )
        assert all(f"{reason} ({rows})" in line for reason, rows in expected.items())
        return
    panel = build(features, target, data)
    assert int(panel.valid.sum()) == usable
    found = {one.reason: one.rows for one in panel.dropped if one.what == "asset-date"}
    assert found == expected
    assert panel.dropped_cells == sum(expected.values()) == 18 - usable
    assert np.isfinite(panel.y[panel.valid]).all() and np.isfinite(panel.X[panel.valid]).all()


def test_a_month_of_gaps_leaves_nothing_and_says_why() -> None:
    (line,) = refused({"x": lambda one: one.get("close") * np.nan}, same_period_return)
    assert line == (
        "panel: no observation has a target and every feature on 2020-01-01..2020-01-08: "
        "target is missing (3), x is missing (15)"
    )


def broken(error: Exception) -> Feature:
    def feature(data: Market) -> Any:
        raise error

    return feature


BROKEN: dict[str, tuple[Feature, str]] = {
    "raises": (broken(KeyError("gone")), "raised KeyError: 'gone'"),
    "lines": (broken(ValueError("one\n\n  two")), "raised ValueError: one two"),
    "data": (broken(DataError(["first", "second"])), "first"),
    "number": (lambda one: 1.0, "gave float; allowed: a frame (T, N) or a series (T,)"),
    "array": (
        lambda one: one.get("close").to_numpy(),
        "gave ndarray; allowed: a frame (T, N) or a series (T,)",
    ),
    "nothing": (lambda one: None, "gave NoneType; allowed: a frame (T, N) or a series (T,)"),
    "narrow": (lambda one: frame(one)[["B"]], "its frame has no column for A, C"),
    "double": (lambda one: frame(one)[["A", "B", "B", "C"]], "its frame has several columns for B"),
    "short": (
        lambda one: frame(one).iloc[1:],
        "its 5 rows are not those of the data or of the target",
    ),
    "moved": (
        lambda one: series(one).shift(1, freq="D"),
        "its 6 rows are not those of the data or of the target",
    ),
    "backwards": (
        lambda one: frame(one).iloc[::-1],
        "its 6 rows are not those of the data or of the target",
    ),
    "numbered": (
        lambda one: series(one).reset_index(drop=True),
        "its 6 rows are not those of the data",
    ),
    "text": (lambda one: frame(one).astype(str) + "x", "not numbers: "),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_feature_that_is_no_feature(name: str) -> None:
    feature, reason = BROKEN[name]
    line = refused({"good": frame, name: feature})[0]
    assert line.startswith(f"features.{name}: {reason}"), line


def test_all_mistakes_in_one_error() -> None:
    lines = refused(
        {"good": frame} | {name: feature for name, (feature, _) in BROKEN.items()},
        broken(DataError("bad")),
    )
    assert lines[0] == "target: bad"
    assert [line.split(":")[0] for line in lines[1:]] == [
        f"features.{name}" for name in BROKEN for _ in range(2 if name == "data" else 1)
    ]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (broken(ZeroDivisionError("no")), "target: raised ZeroDivisionError: no"),
        (frame, "target: gave DataFrame; allowed: a Target of a frame (T, N) and a horizon"),
        (
            lambda one: Target(series(one), 0),
            "target: gave Target; allowed: a Target of a frame (T, N) and a horizon",
        ),
        (
            lambda one: Target(frame(one), -1),
            "target: gave the horizon -1; allowed: a whole number of rows from 0",
        ),
        (
            lambda one: Target(frame(one), 1.5),
            "target: gave the horizon 1.5; allowed: a whole number of rows from 0",
        ),
        (lambda one: Target(frame(one)[["A"]], 0), "target: its frame has no column for B, C"),
        (
            lambda one: Target(frame(one).iloc[::-1], 0),
            "target: its 6 rows are not rows of the data in their order",
        ),
        (
            lambda one: Target(frame(one).iloc[[0, 0]], 0),
            "target: its 2 rows are not rows of the data in their order",
        ),
        (
            lambda one: Target(frame(one).shift(1, freq="D"), 0),
            "target: its 6 rows are not rows of the data in their order",
        ),
    ],
)
def test_a_target_that_is_no_target(target: Any, reason: str) -> None:
    assert refused({"good": frame}, target) == [reason]


def test_whole_numbers_and_booleans_are_numbers() -> None:
    panel = build(
        {"i": lambda one: series(one).astype(int), "b": lambda one: one.get("close") > 110}
    )
    assert panel.X.dtype == float
    assert set(np.unique(panel.X[:, :, 1])) == {0.0, 1.0}


def vandal(data: Market) -> pd.DataFrame:
    """A user's feature that writes to all it is given, and even so gives a frame."""
    close = data.fields["close"]
    close.iloc[:] = -1.0
    close["A"] = 5.0
    data.fields["close"] = close  # type: ignore[index]
    data.series.loc[:, "rate"] = 9.0
    data.market_close.iloc[:] = 7.0  # type: ignore[union-attr]
    data.groups.iloc[:] = "Z"
    return close


def test_a_feature_that_writes_to_its_market_spoils_nobody_elses() -> None:
    data, untouched = market(), market()
    features: dict[str, Feature] = {
        "vandal": vandal,
        "after": frame,
        "rate": series,
        "m": lambda one: one.index_close,
    }
    panel = build(features, level, data)
    assert (panel.X[:, 1:, 0] == -1.0).all()
    np.testing.assert_array_equal(panel.X[:, :, 1], untouched.get("close") * 2)
    np.testing.assert_array_equal(panel.X[:, 0, 2], np.arange(6.0))
    np.testing.assert_array_equal(panel.X[:, 0, 3], untouched.index_close)
    np.testing.assert_array_equal(panel.y, untouched.get("close"))
    assert panel.groups.equals(untouched.groups)
    assert data.fingerprint == untouched.fingerprint


def test_a_feature_that_writes_into_the_numbers_themselves_is_stopped() -> None:
    def deep(data: Market) -> pd.DataFrame:
        data.get("close").to_numpy()[:] = 0.0
        return data.get("close")

    data = market()
    (line,) = refused({"deep": deep}, level, data)
    assert line.startswith("features.deep: raised ValueError: assignment destination is read-only")
    assert data.fingerprint == market().fingerprint


def test_cells_are_counted_under_their_first_reason_however_many_dates_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    holes = {
        name: rng.choice([1.0, np.nan, np.inf, -np.inf], (6, 3), p=[0.7, 0.1, 0.1, 0.1])
        for name in ("p", "q")
    }
    data = market(**holes, size=rng.choice([2.0, 0.0, np.nan], (6, 3)))
    features = {name: partial(Market.get, name=name) for name in holes}
    reasons = [
        ("p is missing", np.isnan(holes["p"])),
        ("p is infinite", np.isinf(holes["p"])),
        ("q is missing", np.isnan(holes["q"])),
        ("q is infinite", np.isinf(holes["q"])),
        ("its weight, size, is missing or not positive", ~(data.get("size").to_numpy() > 0.0)),
    ]
    valid, expected = np.ones((6, 3), dtype=bool), []
    for reason, bad in reasons:
        expected.append(Dropped("asset-date", reason, int((valid & bad).sum())))
        valid &= ~bad
    assert all(one.rows for one in expected) and valid.any()
    for cells in (1, 7, 10**6):
        monkeypatch.setattr(usable, "CELLS", cells)
        panel = build_panel(data, features, level, weights="size")
        np.testing.assert_array_equal(panel.valid, valid)
        assert list(panel.dropped[1:]) == expected


def test_a_target_and_weights_that_are_fields_are_copies_of_them() -> None:
    data = market(size=np.full((6, 3), 2.0))
    panel = build_panel(data, {"close": frame}, level, weights="size")
    assert panel.weights is not None
    for cells, name in ((panel.y, "close"), (panel.weights, "size")):
        assert cells.flags.writeable and cells.flags.c_contiguous
        assert not np.shares_memory(cells, data.get(name).to_numpy())


def test_cells_known_are_those_of_the_panel_of_these_features() -> None:
    """On ragged cells, with cells left out by a step, and weights of which some are zero."""
    rng = np.random.default_rng(3)
    T, N = 40, 7
    X = rng.normal(size=(T, N, 3))
    X[rng.random((T, N, 3)) < 0.2] = np.nan
    y = rng.normal(size=(T, N))
    y[rng.random((T, N)) < 0.1] = np.nan
    kept = rng.random((T, N)) < 0.9
    weights = np.where(rng.random((T, N)) < 0.1, 0.0, 1.0)
    finite = np.isfinite(X).all(axis=2) & np.isfinite(y)
    panel = Panel(
        pd.bdate_range("2020-01-01", periods=T),
        [f"A{i}" for i in range(N)],
        ["a", "b", "c"],
        y,
        X,
        finite & kept & (weights > 0.0),
        1,
        pd.DataFrame(index=[f"A{i}" for i in range(N)]),
        (),
        weights=weights,
        kept=kept,
    )
    for names in ([], ["b"], ["a", "c"], ["a", "b", "c"]):
        np.testing.assert_array_equal(known(panel, names), panel.of(names, "w").valid)

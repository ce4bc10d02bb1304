"""Folds count rows with a usable cell and purge by rows of the panel: against loops over rows and pairs of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK, close, panel_of, random_arrays

from runner.cli.composition import Composer
from runner.errors import DataError
from runner.experiment.reading import sections
from runner.experiment.run import _folds, run
from runner.models.forecasts import forecasts_of
from runner.models.regression import Regression
from runner.validation.cross_validation import Combinatorial, KFold
from runner.validation.splitters import Fold, HoldOut, Splitter, WalkForward, split_usable


def days(rows: int) -> pd.DatetimeIndex:
    return pd.bdate_range("2020-01-01", periods=rows)


def used(fold: Fold, usable: np.ndarray) -> tuple[list[int], list[int], list[int]]:
    """Training, test and purged rows with a usable cell."""
    train, test = (part[usable[part]].tolist() for part in (fold.train, fold.test))
    assert usable[fold.purge].all() and usable[fold.embargo].all()
    return train, test, fold.purge.tolist()


def gap_of(purge: int | str, horizon: int) -> int:
    return {"known": max(horizon - 1, 0), "strict": horizon}.get(str(purge), purge)  # type: ignore[return-value]


masks = st.lists(st.sampled_from([True, True, True, False]), min_size=30, max_size=120).map(
    np.array
)
rules = st.sampled_from(["known", "strict", 0, 3])


@given(masks, st.integers(3, 40), st.integers(1, 12), st.integers(0, 20), st.integers(0, 6), rules)
@QUICK
def test_walking_forward_is_a_loop_over_usable_rows(
    usable: np.ndarray, first: int, test: int, window: int, horizon: int, purge: int | str
) -> None:
    splitter = WalkForward(test=test, first=first, window=window or None, purge=purge)
    try:
        folds = split_usable(splitter, days(len(usable)), usable, horizon)
    except DataError:
        return
    rows, gap = np.flatnonzero(usable).tolist(), gap_of(purge, horizon)
    for fold, start in zip(folds, range(first, len(rows), test), strict=True):
        tested = rows[start : start + test]
        allowed = [t for t in rows if t < tested[0] - gap]
        train = allowed[-window:] if window else allowed
        assert used(fold, usable) == (
            train,
            tested,
            [t for t in rows if tested[0] - gap <= t < tested[0]],
        )
        returns = {t: set(range(t + 1, t + horizon + 1)) for t in rows}
        sharing = [t for t in train if any(returns[t] & returns[s] for s in tested)]
        assert fold.leaking == len(sharing)


@given(masks, st.integers(2, 6), st.integers(0, 6), st.integers(0, 4), rules)
@QUICK
def test_parts_are_of_usable_rows_and_gaps_of_all(
    usable: np.ndarray, parts: int, horizon: int, embargo: int, purge: int | str
) -> None:
    rows, gap = np.flatnonzero(usable), gap_of(purge, horizon)
    for splitter in (KFold(parts, purge, embargo), Combinatorial(parts, 1, purge, embargo)):
        try:
            folds = split_usable(splitter, days(len(usable)), usable, horizon)
        except DataError:
            continue
        for fold, tested in zip(folds, np.array_split(rows, parts), strict=True):
            purged = [t for t in rows if t not in tested and np.abs(tested - t).min() <= gap]
            late = [t for t in rows if any(s < t <= s + gap + embargo for s in tested)]
            train = [t for t in rows if t not in [*tested, *purged, *late]]
            assert used(fold, usable) == (train, tested.tolist(), purged)
            assert fold.embargo.tolist() == [t for t in late if t not in [*tested, *purged]]
            assert fold.path is None or fold.path.shape == fold.test.shape


def test_the_last_rows_are_those_that_can_be_scored() -> None:
    usable = np.array([False] * 5 + [True] * 50 + [False, True] * 3 + [False] * 4)
    for splitter in (HoldOut(rows=6), WalkForward(test=10, first=20, holdout=6)):
        last = split_usable(splitter, days(65), usable, 3)[-1]
        assert last.name == "holdout"
        assert used(last, usable) == (list(range(5, 50)), [52, 53, 54, 56, 58, 60], [50, 51])


@dataclass
class Halves:
    """A splitter of a user's own: fits on the first half of the dates that it is given, forecasts the other."""

    asked: list[Any]

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        self.asked.append((dates, horizon))
        half = len(dates) // 2
        rows = np.arange(len(dates))
        return [
            Fold(
                "1",
                rows[: half - 2],
                rows[half:],
                rows[half - 2 : half],
                path=np.ones(len(dates) - half),
            )
        ]


def test_a_splitter_of_a_users_own_counts_usable_rows_too() -> None:
    usable = np.array([False] * 10 + [True] * 10 + [False] * 4 + [True] * 6)
    splitter = Halves([])
    [fold] = split_usable(splitter, days(30), usable, 3)
    [(dates, horizon)] = splitter.asked
    assert dates.tolist() == days(30)[usable].tolist() and horizon == 3
    assert used(fold, usable) == (
        [10, 11, 12, 13, 14, 15],
        [18, 19, 24, 25, 26, 27, 28, 29],
        [16, 17],
    )
    assert fold.path is not None and fold.path.tolist() == [1] * len(fold.test)
    assert fold.leaking == 0
    [fold] = split_usable(splitter, days(30), usable, 5)
    assert fold.leaking == 2  # the targets of rows 14 and 15 hold returns of rows 19 and 20


@pytest.mark.parametrize(
    ("train", "test", "line"),
    [
        (
            [0, 1],
            [9, 30],
            "its test rows are not in order; allowed: increasing positions from 0 to 19",
        ),
        ([-1, 1], [9], "its train rows are not in order"),
        ([3, 2], [9], "its train rows are not in order"),
        ([], [9], "has no train row; allowed: one or more"),
        ([1], [], "has no test row; allowed: one or more"),
    ],
)
def test_positions_that_there_are_not_are_refused_in_a_line(
    train: list[int], test: list[int], line: str
) -> None:
    class Wrong:
        def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
            none = np.empty(0, dtype=int)
            return [Fold("7", np.array(train, dtype=int), np.array(test, dtype=int), none)]

    with pytest.raises(DataError) as caught:
        split_usable(Wrong(), days(40), np.arange(40) % 2 == 0, 1)
    assert (
        len(caught.value.mistakes) == 1
        and "fold 7" in caught.value.mistakes[0]
        and line in str(caught.value)
    )


def forecasts(
    y: np.ndarray, X: np.ndarray, splitter: Splitter, horizon: int
) -> tuple[pd.DataFrame, list[Fold]]:
    """Predictions of least squares by asset, as a run makes them."""
    panel = panel_of(y, X, horizon=horizon)
    folds = _folds(splitter, panel)
    predictions = forecasts_of(Regression(), panel, folds).predictions
    return predictions, folds


@pytest.mark.parametrize("lost", ["late", "hole"])
def test_a_regressor_that_begins_late_or_has_a_hole_fails_in_no_fold(lost: str) -> None:
    """The fits are those of numpy on the last 40 usable rows whose target is known."""
    T, horizon, window = 300, 3, 40
    y, X = random_arrays(5, T, 1, 2)
    X[slice(0, 120) if lost == "late" else slice(100, 190), 0, 1] = np.nan
    table, folds = forecasts(y, X, WalkForward(test=10, first=60, window=window), horizon)
    rows = [t for t in range(T) if np.isfinite(X[t]).all()]
    expected = []
    for start in range(60, len(rows), 10):
        known = [t for t in rows if t + horizon <= rows[start]][-window:]
        A = np.column_stack([np.ones(window), X[known, 0]])
        b = np.linalg.lstsq(A, y[known, 0], rcond=None)[0]
        expected += [b[0] + X[t, 0] @ b[1:] for t in rows[start : start + 10]]
    assert table["date"].tolist() == days(T)[rows[60:]].tolist()
    close(table["prediction"], expected, "forecasts", 1e-8)
    assert len(folds) == len(range(60, len(rows), 10))


def test_rows_that_were_not_usable_are_said() -> None:
    words = [
        "experiment=capm",
        "data=simulated",
        "data.rows=400",
        "data.assets=3",
        "data.churn=0",
        "data.gaps=0",
    ]
    words += [
        "data.end=null",
        "audit=off",
        "+features.late='lag(ret, 150)'",
        "target=forward_return",
        "analyses={}",
    ]
    words += ["validation=walk_forward", "validation.test=63"]
    report = run(Composer().job([*words, "validation.first=100"]).experiment)
    assert report.folds.loc[0, "train_start"] == report.panel.dates[151]
    assert report.folds["unusable"].tolist() == [151] * 3
    assert report.folds["train_rows"].tolist() == [3 * rows for rows in (100, 163, 226)]
    said = "152 of 400 dates are in no fold: no asset has a target and every feature there."
    assert said in sections(report)["Out of sample"]
    with pytest.raises(
        DataError, match=r"rows counted: the 248 of 400 dates with target and features\)"
    ):
        run(Composer().job([*words, "validation.first=300"]).experiment)


@pytest.mark.parametrize("by", ["asset", None, "date"])
def test_folds_that_choose_a_penalty_count_usable_rows(by: str | None) -> None:
    """The choice is that on a panel without the unusable rows, where none lies between."""
    y, X = random_arrays(7, 120, 4, 3)
    X[:50, :, 2] = np.nan
    model = Regression(by=by, estimator="ridge", penalties=6)
    panel = panel_of(y, X, horizon=3)
    whole = model.fit(panel, np.arange(120)).findings["path"].table
    cut = model.fit(panel.at(np.arange(50, 120)), np.arange(70)).findings["path"].table
    pd.testing.assert_frame_equal(whole, cut, rtol=1e-8)


def test_folds_inside_a_fold_purge_by_rows_of_the_panel() -> None:
    """On the rows on both sides of a test part, no row is purged over it: the targets are 30 rows apart."""

    @dataclass(frozen=True)
    class Told(WalkForward):
        def split_rows(self, rows: Any, horizon: int) -> list[Fold]:
            folds = super().split_rows(rows, horizon)
            found.extend(folds)
            return folds

    found: list[Fold] = []
    y, X = random_arrays(8, 130, 2, 2)
    fitted = np.r_[0:50, 80:130]
    model = Regression(estimator="ridge", penalties=3, folds=Told(test=25, train_ends=[50, 75]))
    model.fit(panel_of(y, X, horizon=5), fitted)
    assert [fold.layout for fold in found] == [
        "train 1..50; test 51..75",
        "train 1..71; purge 72..75; test 76..100",
    ]


def test_a_fold_is_the_same_where_every_row_is_usable() -> None:
    for splitter in (
        WalkForward(test=7, first=20, holdout=9),
        KFold(4, embargo=2),
        Combinatorial(5, 2, holdout=9),
    ):
        one, other = (
            splitter.split(days(90), 4),
            split_usable(splitter, days(90), np.ones(90, dtype=bool), 4),
        )
        assert [fold.layout for fold in one] == [fold.layout for fold in other]


def test_unusable_rows_between_others_are_no_part_of_their_own() -> None:
    usable = np.ones(60, dtype=bool)
    usable[[10, 30, 45]] = False
    folds = split_usable(Combinatorial(3, 2), days(60), usable, 2)
    assert folds[0].layout == "test (path 1) 1..40; purge 41..41; train 42..60"
    assert (
        folds[1].layout
        == "test (path 2) 1..20; purge 21..21; train 22..39; purge 40..40; test (path 1) 41..60"
    )

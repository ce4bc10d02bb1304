"""Walk-forward folds: the scheme of spec S5, its refusals, purging, rolling windows, and hold-outs by rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK
from sklearn.model_selection import TimeSeriesSplit

from runner.cli.composition import Composer
from runner.errors import DataError
from runner.experiment.run import run
from runner.validation.splitters import Fold, HoldOut, WalkForward

MONTHS = pd.date_range("2012-04-30", periods=60, freq="ME")


def shown(folds: list[Fold]) -> list[tuple[str, int, int, int, int]]:
    """Name, first and last training row, first and last test row, counted from 1."""
    for fold in folds:
        for part in (fold.train, fold.test):
            assert part.tolist() == list(range(part[0], part[-1] + 1))
    return [(f.name, f.train[0] + 1, f.train[-1] + 1, f.test[0] + 1, f.test[-1] + 1) for f in folds]


def refused(
    splitter: WalkForward | HoldOut, horizon: int = 0, dates: pd.DatetimeIndex = MONTHS
) -> str:
    with pytest.raises(DataError) as caught:
        splitter.split(dates, horizon)
    [line] = caught.value.mistakes
    return line


def test_the_folds_of_spec_s5() -> None:
    expected = [
        ("1", 1, 24, 25, 30),
        ("2", 1, 30, 31, 36),
        ("3", 1, 36, 37, 42),
        ("4", 1, 42, 43, 48),
    ]
    expected.append(("holdout", 1, 48, 49, 60))
    assert (
        shown(WalkForward(test=6, train_ends=[24, 30, 36, 42], holdout=12).split(MONTHS, 0))
        == expected
    )
    assert shown(WalkForward(test=6, first=24, holdout=12).split(MONTHS, 0)) == expected


def test_a_fold_that_touches_the_hold_out_is_refused_with_the_overlap() -> None:
    line = refused(WalkForward(test=6, train_ends=[24, 30, 36, 42, 48], holdout=12))
    assert line == (
        "validation.train_ends: 48 (2016-03-31) tests rows 49..54 (2016-04-30..2016-09-30), but the hold-out is rows "
        "49..60 (2016-04-30..2017-03-31): they overlap in rows 49..54 (2016-04-30..2016-09-30); allowed: up to 42"
    )
    line = refused(WalkForward(test=6, train_ends=[24, 45], holdout=12))
    assert line.endswith("they overlap in rows 49..51 (2016-04-30..2016-06-30); allowed: up to 42")


def test_the_refusal_on_the_command_line(cli) -> None:
    outcome = cli(
        "experiment=lasso_1se",
        "validation=walk_forward",
        "validation.first=null",
        "validation.train_ends=[24,30,36,42,48]",
        "validation.test=6",
        "validation.holdout=12",
    )
    assert outcome.code == 2
    assert outcome.errors == [
        "error: validation.train_ends: 48 (2016-03-31) tests rows 49..54 (2016-04-30..2016-09-30), but the hold-out "
        "is rows 49..60 (2016-04-30..2017-03-31): they overlap in rows 49..54 (2016-04-30..2016-09-30); "
        "allowed: up to 42 (rows counted: the 60 of 61 dates with target and features)"
    ]
    assert outcome.directory is None


def test_the_refusal_of_folds_that_choose_a_penalty(cli) -> None:
    outcome = cli("experiment=lasso_1se", "model.folds.train_ends=[24,30,36,42,48]")
    assert outcome.code == 2
    assert outcome.errors == [
        "error: validation: fold holdout: model.folds.train_ends: 48 (2016-03-31) tests rows 49..54, but there are "
        "48 rows, 2012-04-30..2016-03-31; allowed: up to 42 (counted in the 48 rows fitted)"
    ]


def test_rows_that_there_are_not_are_refused() -> None:
    assert refused(WalkForward(test=6, train_ends=[24, 57])) == (
        "validation.train_ends: 57 (2016-12-31) tests rows 58..63 (2017-01-31..2017-03-31), but there are 60 rows, "
        "2012-04-30..2017-03-31; allowed: up to 54"
    )
    assert refused(WalkForward(test=6, train_ends=[70], holdout=58)) == (
        "validation.train_ends: 70 tests rows 71..76, but there are 60 rows, 2012-04-30..2017-03-31"
    )
    assert refused(WalkForward(test=6, first=60)) == (
        "validation.first: 60 leaves no test row; there are 60 rows, 2012-04-30..2017-03-31"
    )
    for held in (12, 60, 99):
        assert refused(WalkForward(test=6, first=48, holdout=held)) == (
            "validation.first: 48 leaves no test row; there are 60 rows, 2012-04-30..2017-03-31, "
            f"of which the last {held} are the hold-out"
        )


def test_a_fold_without_training_rows_is_refused() -> None:
    assert refused(WalkForward(test=6, first=5), 6) == (
        "validation.first: fold 1 tests rows 6..11 (2012-09-30..2013-02-28) and has no training row; 5 are purged"
    )
    assert refused(WalkForward(test=6, train_ends=[3, 24], purge="strict"), 4).startswith(
        "validation.train_ends: fold 1 tests rows 4..9"
    )


def test_rows_before_the_test_are_purged_and_a_window_ends_there() -> None:
    expected = [
        ("1", 12, 21, 25, 34),
        ("2", 22, 31, 35, 44),
        ("3", 32, 41, 45, 54),
        ("4", 42, 51, 55, 56),
    ]
    folds = WalkForward(test=10, first=24, window=10, holdout=4).split(MONTHS, 4)
    assert shown(folds) == [*expected, ("holdout", 44, 53, 57, 60)]
    assert [fold.purged for fold in folds] == [3] * 5
    strict = WalkForward(test=10, first=24, window=10, holdout=4, purge="strict")
    assert [fold.layout for fold in strict.split(MONTHS, 3)] == [fold.layout for fold in folds]
    assert shown(WalkForward(test=10, first=24, window=50).split(MONTHS, 4))[0] == (
        "1",
        1,
        21,
        25,
        34,
    )


def test_test_parts_may_leave_rows_between_them_but_not_overlap() -> None:
    folds = WalkForward(test=2, train_ends=[10, 20]).split(MONTHS, 2)
    assert shown(folds) == [("1", 1, 9, 11, 12), ("2", 1, 19, 21, 22)]
    for ends in ([24, 29], [30, 24], [24, 24], []):
        with pytest.raises(
            ValueError, match=r"train_ends: given .*; allowed: one or more, each at least test=6"
        ):
            WalkForward(test=6, train_ends=ends)


def test_one_way_of_placing_folds_is_given() -> None:
    for settings in ({}, {"first": 24, "train_ends": [24]}):
        with pytest.raises(
            ValueError, match=r"first: .* given with train_ends=.*; allowed: exactly one of the two"
        ):
            WalkForward(test=6, **settings)
    for settings in ({}, {"rows": 12, "train_end": "2016-03-31"}):
        with pytest.raises(
            ValueError, match=r"rows: .* given with train_end=.*; allowed: exactly one of the two"
        ):
            HoldOut(**settings)


@given(st.integers(12, 300), st.integers(2, 8), st.integers(0, 3))
@QUICK
def test_equal_parts_are_those_of_scikit_learn(rows: int, parts: int, horizon: int) -> None:
    test = rows // (parts + 1)
    first = rows - parts * test
    if not test or first <= horizon:
        return
    strict = WalkForward(test=test, first=first, purge="strict")
    folds = strict.split(pd.bdate_range("2020-01-01", periods=rows), horizon)
    theirs = list(TimeSeriesSplit(parts, gap=horizon).split(np.zeros(rows)))
    assert len(folds) == parts
    for fold, (train, tested) in zip(folds, theirs, strict=True):
        assert fold.train.tolist() == train.tolist() and fold.test.tolist() == tested.tolist()


@given(
    st.integers(1, 200),
    st.integers(1, 60),
    st.integers(1, 50),
    st.integers(0, 40),
    st.integers(0, 9),
    st.integers(0, 30),
)
@QUICK
def test_every_row_after_the_first_part_is_tested_once(
    rows: int, first: int, test: int, holdout: int, horizon: int, window: int
) -> None:
    dates = pd.bdate_range("2020-01-01", periods=rows)
    splitter = WalkForward(test=test, first=first, holdout=holdout, window=window or None)
    gap = max(horizon - 1, 0)
    if first >= rows - holdout or first <= gap:
        refused(splitter, horizon, dates)
        return
    folds = splitter.split(dates, horizon)
    assert np.concatenate([fold.test for fold in folds]).tolist() == list(range(first, rows))
    assert [fold.name for fold in folds if (fold.test >= rows - holdout).any()] == ["holdout"] * (
        holdout > 0
    )
    for fold in folds:
        assert fold.train[-1] + gap + 1 == fold.test[0]  # its target is known at the first test row
        assert len(fold.train) == min(fold.test[0] - gap, window or rows)
        assert fold.name == "holdout" or len(fold.test) <= test


def test_a_hold_out_of_the_last_rows() -> None:
    [fold] = HoldOut(rows=12).split(MONTHS, 3)
    assert shown([fold]) == [("holdout", 1, 46, 49, 60)] and fold.purged == 2
    by_date = HoldOut("2016-03-31").split(MONTHS, 3)
    assert shown(by_date) == shown([fold])
    for rows in (58, 60, 99):
        runs = "rows run 2012-04-30..2017-03-31, 2 are purged; there are 60"
        assert (
            refused(HoldOut(rows=rows), 3)
            == f"validation.rows: {rows} leaves no training row; {runs}; "
            "allowed: one that leaves some, or validation=none"
        )


def test_a_run_over_walk_forward_folds() -> None:
    words = [
        "experiment=ff3",
        "validation=walk_forward",
        "validation.test=200",
        "validation.holdout=24",
    ]
    report = run(Composer().job(words).experiment)
    assert report.folds["fold"].tolist() == ["1", "2", "3", "holdout"]
    assert report.folds["test_rows"].tolist() == [9 * rows for rows in (200, 200, 143, 24)]
    assert report.folds["not_forecast"].sum() == 0
    assert report.folds["test_rows"].sum() == len(report.predictions)
    assert set(report.predictions["path"]) == {1}

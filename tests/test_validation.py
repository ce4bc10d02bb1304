"""Splitters: training rows whose target is known before the test begins, and test rows after them."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK

from runner.errors import DataError
from runner.validation.splitters import HoldOut, NoValidation

DATES = pd.bdate_range("2021-12-27", periods=10)  # Monday 27 December to Friday 7 January


def split(
    train_end: str, horizon: int = 0, dates: pd.DatetimeIndex = DATES, purge: int | str = "known"
) -> tuple[list[int], list[int], int]:
    (fold,) = HoldOut(train_end, purge=purge).split(dates, horizon)
    assert fold.name == "holdout"
    return fold.train.tolist(), fold.test.tolist(), fold.purged


def test_no_validation_has_no_folds() -> None:
    assert NoValidation().split(DATES, 5) == []


@pytest.mark.parametrize(
    ("train_end", "horizon", "test", "known", "strict"),
    [
        ("2021-12-31", 0, 5, 0, 0),
        ("2021-12-31", 1, 5, 0, 1),
        ("2021-12-31", 4, 5, 3, 4),
        ("2022-01-01", 2, 5, 1, 2),  # a Saturday
        ("2022-01-02", 2, 5, 1, 2),
        ("2022-01-03", 2, 6, 1, 2),
        ("2021-12-31T00:00", 2, 5, 1, 2),
        ("2021-12-30 23:59", 2, 4, 1, 2),
        ("2022-01-06", 0, 9, 0, 0),
        ("2021-12-27", 0, 1, 0, 0),
    ],
)
def test_rows_of_a_hold_out(
    train_end: str, horizon: int, test: int, known: int, strict: int
) -> None:
    """Purged: the rows whose target is not known at the first test row, or one more that shares a price with it."""
    for purge, purged in (("known", known), ("strict", strict), (strict, strict)):
        expected = (list(range(test - purged)), list(range(test, 10)), purged)
        assert split(train_end, horizon, purge=purge) == expected


def test_an_end_without_time_includes_its_whole_day() -> None:
    minutes = pd.date_range("2022-01-03 09:30", periods=2000, freq="min")
    train, test, _ = split("2022-01-03", 0, minutes)
    assert minutes[train[-1]] == pd.Timestamp("2022-01-03 23:59")
    assert minutes[test[0]] == pd.Timestamp("2022-01-04 00:00")
    train, test, _ = split("2022-01-03T16:00", 0, minutes)
    assert minutes[train[-1]] == pd.Timestamp("2022-01-03 16:00")
    assert test[0] == train[-1] + 1


@given(
    st.integers(1, 300),
    st.integers(0, 30),
    st.integers(-10, 450),
    st.sampled_from(["known", "strict"]),
)
@QUICK
def test_folds_never_overlap_and_targets_are_known_at_the_test(
    rows: int, horizon: int, offset: int, rule: str
) -> None:
    dates = pd.bdate_range("2020-01-01", periods=rows)
    end = dates[0] + pd.Timedelta(days=offset)
    before = sum(day <= end for day in dates)
    gap = horizon if rule == "strict" else max(horizon - 1, 0)
    if before <= gap or before == rows:
        part = "test" if before == rows else "training"
        with pytest.raises(
            DataError, match=f"{end:%Y-%m-%d} leaves no {part} row; rows run .* {gap} are purged"
        ):
            HoldOut(f"{end:%Y-%m-%d}", purge=rule).split(dates, horizon)
        return
    train, test, purged = split(f"{end:%Y-%m-%d}", horizon, dates, rule)
    assert not set(train) & set(test)
    assert len(train) + purged + len(test) == rows
    assert purged == gap
    assert train == list(range(len(train))) and test == list(range(before, rows))
    # the target of the last training row is known at the first test row, and that of the row after it is not
    if rule == "known":
        assert max(train) + max(horizon, 1) == min(test)
    else:
        assert max(train) + horizon == min(test) - 1
    assert dates[max(train)] <= end < dates[min(test)]


def test_a_hold_out_without_a_part_says_which() -> None:
    for train_end, horizon, part in (
        ("2020-01-01", 0, "training"),
        ("2021-12-29", 4, "training"),
        ("2022-01-07", 0, "test"),
    ):
        with pytest.raises(DataError) as caught:
            HoldOut(train_end).split(DATES, horizon)
        assert caught.value.mistakes == (
            f"validation.train_end: {train_end} leaves no {part} row; "
            f"rows run 2021-12-27..2022-01-07, {max(horizon - 1, 0)} are purged; "
            "allowed: one that leaves some, or validation=none",
        )


def test_the_hold_out_of_the_snapshot_has_its_rows() -> None:
    """The dates of spec S1: 1196 rows to 2021 and 844 from 2022; one day ahead, none is purged, strictly one."""
    before = pd.bdate_range(end="2021-12-31", periods=1196)
    dates = before.append(pd.bdate_range(start="2022-01-03", periods=844))
    for horizon, purge, rows in (
        (0, "known", 1196),
        (1, "known", 1196),
        (1, "strict", 1195),
        (2, "known", 1195),
    ):
        train, test, _ = split("2021-12-31", horizon, dates, purge)
        assert (len(train), len(test)) == (rows, 844)

"""K-fold and combinatorial folds, purge, embargo and hold-out by brute force, spans of time, and the picture."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK, panel_of, random_arrays
from sklearn.model_selection import KFold as TheirKFold

from runner.cli.composition import Composer
from runner.errors import DataError, SpecError
from runner.experiment.run import run
from runner.models.forecasts import forecasts_of
from runner.models.regression import Regression
from runner.schema.settings import parse_span
from runner.sinks.canvas import style
from runner.sinks.drawings.folds import LABELS, _parts, _ticks, folds
from runner.validation.cross_validation import Combinatorial, KFold
from runner.validation.folds import ahead, behind, runs, steps
from runner.validation.splitters import Fold, HoldOut, NoValidation, WalkForward

MONTHS = pd.date_range("2012-04-30", periods=60, freq="ME")


def days(rows: int) -> pd.DatetimeIndex:
    return pd.bdate_range("2020-01-01", periods=rows)


def refused(splitter: object, horizon: int = 0, dates: pd.DatetimeIndex = MONTHS) -> str:
    with pytest.raises(DataError) as caught:
        splitter.split(dates, horizon)
    [line] = caught.value.mistakes
    return line


def touches(t: int, s: int, horizon: int, rule: str) -> bool:
    """Do two rows share a return of their targets (known), or a price of these (strict)? A row is near to itself."""
    first = 0 if rule == "strict" else 1
    mine, other = (set(range(row + first, row + horizon + 1)) for row in (t, s))
    return t == s or bool(mine & other)


def gap_of(rule: str, horizon: int) -> int:
    """Rows left out on each side of a test part."""
    return horizon if rule == "strict" else max(horizon - 1, 0)


def naive(
    T: int, groups: int, chosen: int, horizon: int, embargo: int, held: int, rule: str
) -> list[tuple[list[int], list[int]]]:
    """Training and test rows of every split, by looking at every pair of rows."""
    after = gap_of(rule, horizon) + embargo
    parts = np.array_split(range(T - held), groups)
    locked = range(T - held, T)
    found = []
    for some in combinations(range(groups), chosen):
        test = [int(row) for g in some for row in parts[g]]
        train = [
            t
            for t in range(T - held)
            if not any(touches(t, s, horizon, rule) for s in (*test, *locked))
            and not any(s < t <= s + after for s in test)
            and t not in test
        ]
        found.append((train, test))
    return found


shapes = st.tuples(
    st.integers(8, 60), st.integers(2, 6), st.integers(1, 5), st.integers(0, 5), st.integers(0, 4)
)


@given(shapes, st.sampled_from([0, 0, 3, 7]), st.sampled_from(["known", "strict"]))
@QUICK
def test_combinatorial_rows_are_those_of_brute_force(
    shape: tuple[int, ...], held: int, rule: str
) -> None:
    T, groups, chosen, horizon, embargo = shape
    chosen = min(chosen, groups - 1)
    splitter = Combinatorial(groups, chosen, purge=rule, embargo=embargo, holdout=held)
    if T - held < groups:
        assert f"{groups} parts of fewer rows" in refused(splitter, horizon, days(T))
        return
    expected = naive(T, groups, chosen, horizon, embargo, held, rule)
    if not all(train for train, _ in expected) or (held and T - held <= gap_of(rule, horizon)):
        assert "and has no training row" in refused(splitter, horizon, days(T))
        return
    found = splitter.split(days(T), horizon)
    if held:
        last = found.pop()
        assert last.name == "holdout"
        assert last.test.tolist() == list(range(T - held, T))
        assert last.train.tolist() == list(range(T - held - gap_of(rule, horizon)))
    assert [(fold.train.tolist(), fold.test.tolist()) for fold in found] == expected
    assert [fold.name for fold in found] == [str(k) for k in range(1, comb(groups, chosen) + 1)]
    assert all(fold.leaking == 0 for fold in found)


@given(shapes, st.sampled_from([0, 5]))
@QUICK
def test_every_part_of_a_fold_is_a_part_and_no_training_target_overlaps(
    shape: tuple[int, ...], held: int
) -> None:
    T, groups, chosen, horizon, embargo = shape
    try:
        found = Combinatorial(groups, min(chosen, groups - 1), embargo=embargo, holdout=held).split(
            days(T), horizon
        )
    except DataError:
        return
    for fold in found:
        every = np.concatenate([fold.train, fold.test, fold.purge, fold.embargo])
        locked = [] if fold.name == "holdout" else list(range(T - held, T))
        assert sorted([*every.tolist(), *locked]) == list(range(T))
        assert (fold.purged, fold.embargoed) == (len(fold.purge), len(fold.embargo))
        for t in fold.train:
            mine = set(range(t + 1, t + horizon + 1))  # the rows whose returns are in the target
            assert not any(mine & set(range(s + 1, s + horizon + 1)) for s in fold.test)


@given(shapes)
@QUICK
def test_each_path_has_every_row_once(shape: tuple[int, ...]) -> None:
    T, groups, chosen = shape[0] + 12, shape[1], min(shape[2], shape[1] - 1)
    found = Combinatorial(groups, chosen).split(days(T), 0)
    paths = comb(groups - 1, chosen - 1)
    met = np.zeros((paths, T), dtype=int)
    for fold in found:
        assert fold.path is not None and fold.path.shape == fold.test.shape
        np.add.at(met, (fold.path - 1, fold.test), 1)
    assert (met == 1).all()


def test_paths_are_those_of_lopez_de_prado() -> None:
    """Figure 12.1 of Lopez de Prado (2018): six groups, two tested, 15 splits; splits of groups 1..6 in the first two
    of five paths."""
    found = Combinatorial(6, 2).split(days(6), 0)
    of = {
        (int(path), int(row)): int(fold.name)
        for fold in found
        for row, path in zip(fold.test, fold.path, strict=True)
    }
    assert len(found) == 15 and max(path for path, _ in of) == 5
    assert [of[1, g] for g in range(6)] == [1, 1, 2, 3, 4, 5]
    assert [of[2, g] for g in range(6)] == [2, 6, 6, 7, 8, 9]


def test_rows_are_those_of_skfolio() -> None:
    """skfolio 1.12.2, CombinatorialPurgedCV(n_folds=4, n_test_folds=2, purged_size=1, embargo_size=2) on 20 rows."""
    found = Combinatorial(4, 2, purge="strict", embargo=2).split(days(20), 1)
    assert [fold.train.tolist() for fold in found] == SKFOLIO


SKFOLIO = [
    [13, 14, 15, 16, 17, 18, 19],
    [8, 18, 19],
    [8, 9, 10, 11, 12, 13],
    [0, 1, 2, 3, 18, 19],
    [0, 1, 2, 3, 13],
    [0, 1, 2, 3, 4, 5, 6, 7, 8],
]


@given(
    st.integers(4, 200), st.integers(2, 8), st.integers(0, 4), st.sampled_from(["known", "strict"])
)
@QUICK
def test_k_fold_is_that_of_scikit_learn_less_the_purge(
    rows: int, parts: int, horizon: int, rule: str
) -> None:
    if rows < parts or (horizon and rows < 40):
        return
    found = KFold(parts, purge=rule).split(days(rows), horizon)
    gap = gap_of(rule, horizon)
    theirs = list(TheirKFold(parts).split(np.zeros(rows)))
    assert len(found) == parts
    for fold, (train, test) in zip(found, theirs, strict=True):
        assert fold.test.tolist() == test.tolist() and fold.path is None
        clear = (train < test[0] - gap) | (train > test[-1] + gap)
        assert fold.train.tolist() == train[clear].tolist()
        assert fold.purge.tolist() == train[~clear].tolist()
    single = Combinatorial(parts, 1, purge=rule).split(days(rows), horizon)
    assert [one.train.tolist() for one in single] == [one.train.tolist() for one in found]


SCHEMES = {
    "holdout": lambda purge: HoldOut(rows=20, purge=purge, holdout=10),
    "walk": lambda purge: WalkForward(test=7, first=30, purge=purge, holdout=10),
    "rolling": lambda purge: WalkForward(test=7, first=30, window=20, purge=purge, holdout=10),
    "placed": lambda purge: WalkForward(test=7, train_ends=[30, 50], purge=purge, holdout=10),
    "kfold": lambda purge: KFold(4, purge=purge, holdout=10),
    "combinatorial": lambda purge: Combinatorial(5, 2, purge=purge, holdout=10),
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("purge", ["known", "strict", 0, 1, 3, 4, 5, 8])
def test_a_purge_of_less_than_what_is_unknown_leaks_and_no_other(
    scheme: str, purge: int | str
) -> None:
    T, horizon = 100, 5
    found = SCHEMES[scheme](purge).split(days(T), horizon)
    assert found[-1].name == "holdout" and found[-1].test.tolist() == list(range(90, 100))
    for fold in found:
        forbidden = set(fold.test.tolist()) | set(range(90, 100))
        returns = {
            t: set(range(t + 1, t + horizon + 1)) for t in range(T)
        }  # of the target of row t
        leaking = [
            t for t in fold.train.tolist() if any(returns[t] & returns[s] for s in forbidden)
        ]
        assert fold.leaking == len(leaking)
        gap = gap_of(purge, horizon) if isinstance(purge, str) else purge
        assert (fold.leaking > 0) == (gap < horizon - 1)
        assert not set(fold.train.tolist()) & forbidden
        if fold.name != "holdout":
            assert not set(fold.test.tolist()) & set(range(90, 100))
        assert min(abs(t - s) for t in fold.train.tolist() for s in forbidden) == gap + 1


def test_nothing_leaks_where_the_target_is_of_the_same_row() -> None:
    for scheme in SCHEMES.values():
        for purge in ("known", "strict"):
            assert all(
                fold.leaking == fold.purged == 0 for fold in scheme(purge).split(days(100), 0)
            )
        assert all(fold.leaking == fold.purged == 0 for fold in scheme("known").split(days(100), 1))


def test_a_hold_out_beside_a_hold_out() -> None:
    first, last = HoldOut("2015-03-31", holdout="1y").split(MONTHS, 2)
    assert (first.name, last.name) == ("1", "holdout")
    assert first.layout == "train 1..35; purge 36..36; test 37..48"
    assert last.layout == "train 1..47; purge 48..48; test 49..60"
    first, last = HoldOut("2015-03-31", purge="strict", holdout="1y").split(MONTHS, 2)
    assert first.layout == "train 1..34; purge 35..36; test 37..48"
    assert last.layout == "train 1..46; purge 47..48; test 49..60"
    assert refused(HoldOut("2016-03-31", holdout=12)) == (
        "validation.train_end: 2016-03-31 leaves no test row; rows run 2012-04-30..2017-03-31, 0 are purged; "
        "the last 12 are the hold-out; allowed: one that leaves some, or validation=none"
    )


def test_a_model_does_not_see_what_is_left_out() -> None:
    """Forecasts stay the same to the last bit when every target not trained on is changed."""
    y, X = random_arrays(1, 90, 3, 2)
    panel, model = panel_of(y, X, horizon=3), Regression()
    for fold in Combinatorial(5, 2, embargo=2, holdout=9).split(panel.dates, 3):
        changed = y.copy()
        changed[np.setdiff1d(np.arange(90), fold.train)] += 1e3
        other = replace(panel, y=changed)
        before = forecasts_of(model, panel, [fold]).predictions
        after = forecasts_of(model, other, [fold]).predictions
        for column in ("prediction", "benchmark"):
            np.testing.assert_array_equal(before[column], after[column])
        expected = np.ones(27) if fold.path is None else np.repeat(fold.path, 3)
        assert before["path"].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("splitter", "line"),
    [
        (
            KFold(61),
            "folds: 61 parts of fewer rows; there are 60 rows, 2012-04-30..2017-03-31; allowed: up to 60",
        ),
        (
            KFold(50, holdout=12),
            "folds: 50 parts of fewer rows; there are 48 rows, 2012-04-30..2016-03-31, before the last 12 are the "
            "hold-out; allowed: up to 48",
        ),
        (Combinatorial(70), "groups: 70 parts of fewer rows; there are 60 rows"),
        (
            KFold(2, holdout=60),
            "holdout: 60 leaves no row before it; there are 60 rows, 2012-04-30..2017-03-31",
        ),
        (
            KFold(2, holdout="9y"),
            "holdout: 9y leaves no row before it; there are 60 rows, 2012-04-30..2017-03-31",
        ),
        (HoldOut(rows=5, holdout="9y"), "holdout: 9y leaves no row before it; there are 60 rows"),
        (
            KFold(2, purge=29, embargo=4),
            "folds: fold 1 tests rows 1..30 (2012-04-30..2014-09-30) and has no training row; 29 are purged, "
            "1 embargoed",
        ),
        (
            Combinatorial(4, 2, purge=20),
            "groups: fold 2 tests rows 1..15 (2012-04-30..2013-06-30), 31..45 (2014-10-31..2015-12-31) and has no",
        ),
        (
            HoldOut(rows="9y"),
            "rows: 9y leaves no training row; rows run 2012-04-30..2017-03-31, 0 are purged",
        ),
        (WalkForward(test="1y", first="5y"), "first: 5y leaves no test row; there are 60 rows"),
        (
            WalkForward(test="6m", train_ends=["2016-12-31"], holdout="1y"),
            "train_ends: 2016-12-31 tests rows 58..60 (2017-01-31..2017-03-31), but the hold-out is rows",
        ),
    ],
)
def test_what_cannot_be_split_says_where_and_when(splitter: object, line: str) -> None:
    found = refused(splitter)
    assert found.startswith(f"validation.{line}") and "\n" not in found


def test_a_combination_that_is_too_much_is_refused_before_any_data() -> None:
    with pytest.raises(
        ValueError, match=r"test_groups: given 3 with groups=3; allowed: less than groups"
    ):
        Combinatorial(3, 3)
    with pytest.raises(
        ValueError,
        match=r"test_groups: given 10 with groups=20, 184,756 splits; allowed: up to 2,500",
    ):
        Combinatorial(20, 10)


def spec_errors(*words: str) -> tuple[str, ...]:
    with pytest.raises(SpecError) as caught:
        run(Composer().job(list(words)).experiment)
    return caught.value.mistakes


@pytest.mark.parametrize("text", ["2q", "0y", "-1m", "1.5y", "y", "2 y", "1000d", "2Y", ""])
def test_a_span_that_is_none_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(
        ValueError,
        match=r"^allowed: rows, a whole number from 1, or a time such as 2y, 6m, 3w or 10d$",
    ):
        parse_span(text)


def test_wrong_spans_are_refused_on_the_spec_all_at_once() -> None:
    walk = (
        "validation=walk_forward",
        "validation.first=2q",
        "validation.test=0",
        "validation.holdout=-1",
    )
    a, b, c = spec_errors(*walk)
    allowed = "or a time such as 2y, 6m, 3w or 10d"
    assert a == f"validation.test: given 0; allowed: rows, a whole number from 1, {allowed}"
    assert b == f"validation.first: given '2q'; allowed: rows, a whole number from 1, {allowed}"
    assert c == f"validation.holdout: given -1; allowed: rows, a whole number from 0, {allowed}"
    lines = spec_errors(
        "validation=walk_forward", "validation.first=null", "validation.train_ends=[24,soon]"
    )
    assert lines[0] == "validation.train_ends[1]: given 'soon'; allowed: a date such as 2021-12-31"
    [line] = spec_errors("validation=kfold", "validation.folds=1")
    assert line == "validation.folds: given 1; allowed: a number from 2"
    [line] = spec_errors("validation=rolling", "validation.window=1.5")
    assert line == "validation.window: given 1.5; allowed: a whole number or text"


@given(
    st.integers(2, 400),
    st.integers(0, 300),
    st.sampled_from("ymwd"),
    st.integers(1, 14),
    st.integers(0, 400),
)
@QUICK
def test_spans_of_days_are_those_of_the_calendar(
    rows: int, offset: int, unit: str, n: int, at: int
) -> None:
    dates = pd.bdate_range(date(2015, 12, 20) + relativedelta(days=offset), periods=rows)
    at %= rows
    if (dates.to_period("M").value_counts() < 2).all():
        return  # one row in a month: counted in months
    name = {"y": "years", "m": "months", "w": "weeks", "d": "days"}[unit]
    every, step = [day.date() for day in dates], relativedelta(**{name: n})
    reached = [row for row, day in enumerate(every) if day >= every[at] + step]
    assert ahead(dates, at, f"{n}{unit}") == (reached[0] if reached else rows)
    kept = [row for row in range(at + 1) if every[row] > every[at] - step]
    assert behind(dates, at + 1, f"{n}{unit}") == kept[0]


@pytest.mark.parametrize("frequency", ["ME", "BME", "MS", "BMS"])
def test_a_year_of_months_is_twelve_rows_wherever_it_ends(frequency: str) -> None:
    dates = pd.date_range("2010-01-01", periods=90, freq=frequency)
    for row in range(12, 78):
        assert behind(dates, row, "1y") == behind(dates, row, "12m") == row - 12
        assert ahead(dates, row, "1y") == ahead(dates, row, 12) == row + 12
        assert ahead(dates, row, "1m", times=5) == row + 5


def test_spans_of_time_place_the_folds_of_spec_s5() -> None:
    by_rows = WalkForward(test=6, first=24, holdout=12, window=18).split(MONTHS, 2)
    by_time = WalkForward(test="6m", first="2y", holdout="1y", window="18m").split(MONTHS, 2)
    by_date = WalkForward(
        test=6,
        train_ends=["2014-03-31", 30, "2015-04-01", "2015-09-30"],
        holdout="12m",
        window=18,
    ).split(MONTHS, 2)
    assert [fold.layout for fold in by_time] == [fold.layout for fold in by_rows]
    assert [fold.layout for fold in by_date] == [fold.layout for fold in by_rows]
    assert by_rows[0].layout == "train 6..23; purge 24..24; test 25..30"


def test_steps_of_time_have_every_row_and_skip_times_without_one() -> None:
    dates = days(50)
    starts = list(steps(dates, 3, 40, "1d"))
    assert starts == list(range(3, 40))  # weekends have no row and no part
    weeks = list(steps(dates, 3, 50, "1w"))
    assert [dates[row].weekday() for row in weeks] == [dates[3].weekday()] * len(weeks)
    assert np.diff(weeks).tolist() == [5] * (len(weeks) - 1)
    assert (
        behind(dates.as_unit("ns"), 50, "999y") == 0 and ahead(dates.as_unit("ns"), 0, "999y") == 50
    )


spans = st.one_of(st.integers(1, 60), st.sampled_from(["1y", "3m", "5w", "9d", "2m"]))


@given(
    st.integers(30, 700),
    spans,
    spans,
    st.one_of(st.just(0), spans),
    st.one_of(st.none(), spans),
    st.integers(0, 6),
)
@QUICK
def test_walking_forward_by_any_span_tests_every_row_once(
    rows: int,
    first: int | str,
    test: int | str,
    holdout: int | str,
    window: int | str | None,
    horizon: int,
) -> None:
    dates = days(rows)
    try:
        found = WalkForward(test, first, None, window, holdout).split(dates, horizon)
    except DataError:
        return
    assert np.concatenate([fold.test for fold in found]).tolist() == list(
        range(ahead(dates, 0, first), rows)
    )
    end = behind(dates, rows, holdout)
    for fold in found:
        assert len(runs(fold.train)) == len(runs(fold.test)) == 1
        assert fold.train[-1] + max(horizon, 1) == fold.test[0] and fold.leaking == 0
        assert (fold.name == "holdout") == (fold.test[0] >= end)
        if isinstance(window, str):
            n, unit = parse_span(window)
            oldest = dates[fold.train[-1]] - pd.DateOffset(**{unit: n})
            assert (dates[fold.train] > oldest).all()
            assert fold.train[0] == 0 or dates[fold.train[0] - 1] <= oldest


def test_test_parts_that_overlap_are_refused_where_dates_place_them() -> None:
    line = refused(WalkForward(test=6, train_ends=["2014-03-31", "2014-06-30"]))
    assert line == (
        "validation.train_ends: 2014-06-30 tests rows 28..33 (2014-07-31..2014-12-31), but the test part before it "
        "ends at row 30; allowed: 30 or later"
    )


@given(shapes, st.sampled_from([0, 4]))
@QUICK
def test_the_layout_says_where_every_part_lies(shape: tuple[int, ...], held: int) -> None:
    T, groups, chosen, horizon, embargo = shape
    try:
        found = Combinatorial(groups, min(chosen, groups - 1), embargo=embargo, holdout=held).split(
            days(T), horizon
        )
    except DataError:
        return
    for fold in found:
        read: dict[str, list[int]] = {"train": [], "purge": [], "embargo": [], "test": []}
        for what, start, until in _parts(fold.layout):
            read[what] += range(start, until)
        for what, rows in read.items():
            assert sorted(rows) == getattr(fold, what).tolist()


def test_the_layout_names_the_paths() -> None:
    fold = Fold(
        "1", np.arange(2, 5), np.array([0, 1, 6, 7]), np.array([5]), path=np.array([2, 2, 3, 1])
    )
    assert (
        fold.layout
        == "test (path 2) 1..2; train 3..5; purge 6..6; test (path 3) 7..7; test (path 1) 8..8"
    )


@pytest.fixture(scope="module")
def report():
    words = ["experiment=ff3", "target.horizon=3", "data.assets=[S1V1,S5V5]", "analyses={}"]
    words[1:2] = ["target=forward_return", "target.horizon=3"]
    words += [
        "validation=combinatorial",
        "validation.groups=5",
        "validation.embargo=2",
        "validation.holdout=5y",
    ]
    return run(Composer().job([*words, "validation.purge=1"]).experiment)


def test_a_run_over_combinatorial_folds(report) -> None:
    table, predictions = report.folds, report.predictions
    assert table["fold"].tolist() == [*map(str, range(1, 11)), "holdout"]
    assert table["leaking"].tolist() == [True] * 11
    assert table.loc[0, ["purged", "embargoed"]].tolist() == [2, 2]
    assert len(predictions) == table["test_rows"].sum() - table["not_forecast"].sum()
    rows = report.panel.usable.sum()  # the last three months have no target
    split = predictions[predictions["fold"] != "holdout"]
    assert split.groupby("path").size().to_dict() == dict.fromkeys(range(1, 5), 2 * (rows - 60))
    assert split.groupby(["path", "date", "asset"]).size().eq(1).all()


def test_the_picture_draws_every_part_where_it_lies(report) -> None:
    with style():
        figure = folds(report)
        [axes] = figure.axes
        drawn = {
            (
                bars.get_label(),
                round(-bar.get_y() - bar.get_height() / 2),
                bar.get_x(),
                bar.get_x() + bar.get_width(),
            )
            for bars in axes.containers
            for bar in bars
        }
    expected = set()
    for row, (name, layout) in enumerate(
        zip(report.folds["fold"], report.folds["layout"], strict=True)
    ):
        for what, start, until in _parts(layout):
            expected.add(
                (LABELS[name if what == "test" and name == "holdout" else what], row, start, until)
            )
    assert drawn == expected
    assert [label.get_text() for label in axes.get_yticklabels()] == report.folds["fold"].tolist()
    assert (
        "11 folds" in figure.texts[1].get_text()
        and "4 backtest paths" in figure.texts[1].get_text()
    )
    assert "11 LEAK" in figure.texts[1].get_text()


def test_many_folds_are_thinned_and_none_give_no_picture(report) -> None:
    many = pd.concat([report.folds] * 40, ignore_index=True)
    with style():
        [axes] = folds(replace(report, folds=many)).figure.axes
        bars = {
            round(-bar.get_y() - bar.get_height() / 2) for some in axes.containers for bar in some
        }
        assert len(bars) == 300 and len(axes.get_yticks()) < 45
        assert folds(replace(report, folds=report.folds.iloc[:0])) is None
    assert NoValidation().split(days(9), 1) == []


@pytest.mark.parametrize(
    ("dates", "first"),
    [
        (MONTHS, "2013"),
        (pd.date_range("1926-07-31", periods=1000, freq="ME"), "1940"),
        (days(300), "2020-04"),
        (days(60), "2020-01-06"),
        (days(5), "2020-01-02"),
        (pd.date_range("2019-12-18 10:04", periods=356, freq="min"), "12-18 11:00"),
        (days(1), "2020-01-01"),
    ],
)
def test_dates_below_the_picture_are_few_and_those_of_their_rows(
    dates: pd.DatetimeIndex, first: str
) -> None:
    at, labels = _ticks(dates)
    assert labels[0] == first and 1 <= len(labels) <= 8 and len(set(labels)) == len(labels)
    assert all(0 <= row < len(dates) for row in at)

"""Small awkward panels: made and read by blocks of any size, by anyone, they have the bits of memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from runner.compute.executors.executor import Executor
from runner.compute.executors.local import Inline, Processes, Threads
from runner.data.columns.listings import Listings
from runner.data.columns.long import LongColumn
from runner.data.fields import Fields
from runner.data.market import Market
from runner.errors import RunnerError
from runner.features.expressions import Expression
from runner.features.functions import beta, field, momentum, volatility
from runner.models import Regression
from runner.panels.blocks import dividing
from runner.panels.blocks.building import build_in_blocks
from runner.panels.blocks.recipe import Recipe
from runner.panels.building import build_panel
from runner.panels.numbers import stored
from runner.panels.numbers.joining import with_lone
from runner.panels.panel import Panel
from runner.panels.rows import digest_of, rows_of
from runner.preprocessing import steps
from runner.preprocessing.applying import Step
from runner.targets import forward_return, same_period_return
from runner.validation.benchmark import train_means
from runner.validation.folds import shared_by
from runner.validation.splitters import Fold

SMALL = settings(
    max_examples=8,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
MANY = settings(SMALL, max_examples=1500)

LIVES = ("always", "late", "one date", "comes back", "gaps", "never again", "two dates")
SCALES = ("plain", "ties", "huge", "tiny", "far from zero", "constant", "two values")
FEATURES: dict[str, Any] = {
    "c": partial(field, name="c"),
    "past": partial(momentum, window=5),
    "long": partial(momentum, window=40),  # longer than most blocks
    "vol": partial(volatility, window=4),
    "beta": partial(beta, window=6),
    "rank": Expression("rank(d)"),
    "mean": Expression("mean(d, 7) - c"),
    "away": Expression("demean(c) - demean(ret, sector)"),
    "rate": Expression("rate"),
}
TARGETS = {
    "ahead": partial(forward_return, horizon=1),
    "overlapping": partial(forward_return, horizon=5),
    "of the row": partial(same_period_return),
}
STEPS = {
    "none": [],
    "rank": [Step(partial(steps.rank), "rank", None)],
    "zscore": [Step(partial(steps.zscore), "zscore", None)],
    "filled": [Step(partial(steps.fill, value="mean"), "fill", None)],
    "in sectors": [Step(partial(steps.demean, group="sector"), "demean", None)],
    "winsorised": [Step(partial(steps.winsorise, limit=0.1), "winsorise", None)],
    "neutralised": [Step(partial(steps.neutralise, group="sector"), "neutralise", None)],
    "target too": [Step(partial(steps.zscore), "zscore", ["target"])],
}
MODELS: dict[str, dict[str, Any]] = {
    "pooled": {"by": None},
    "errors by date": {"by": None, "cov": "cluster", "clusters": ["date"]},
    "errors by name": {"by": None, "cov": "cluster", "clusters": ["asset"]},
    "two-way": {"by": None, "cov": "cluster", "clusters": ["asset", "date"]},
    "white": {"by": None, "cov": "HC1"},
    "Driscoll-Kraay": {"by": None, "cov": "driscoll_kraay", "cov_lags": 3},
    "no constant": {"by": None, "constant": False},
    "dummies": {"by": None, "dummies": ["sector"]},
    "by group": {"by": "sector"},
    "Fama-MacBeth": {"by": "date"},
    "by name": {"by": "asset", "cov": "HAC"},
    "ridge": {"by": None, "estimator": "ridge", "penalty": 0.5},
    "lasso": {"by": None, "estimator": "lasso", "penalty": 0.01},
    "elastic net": {"by": None, "estimator": "elastic_net", "penalty": 0.01},
}


class Drawn(NamedTuple):
    """A market, what is made of it, and how it is divided.

    Attributes:
        target, steps: of the panel.
        numbers, chunk: the bounds of blocks of dates.
        read, held: bytes that are read, and held, at a time.
    """

    market: Market
    features: list[str]
    target: str
    steps: str
    weighted: bool
    numbers: int
    chunk: int
    read: int
    held: int

    @property
    def recipe(self) -> Recipe:
        chosen = {name: FEATURES[name] for name in self.features}
        weights = "w" if self.weighted else None
        return Recipe(chosen, TARGETS[self.target], STEPS[self.steps], weights, 1.0)


def life(kind: str, rng: np.random.Generator, dates: int) -> np.ndarray:
    """Dates (T,) on which a name is listed."""
    there = np.zeros(dates, dtype=bool)
    start = int(rng.integers(dates))
    if kind == "always":
        there[:] = True
    elif kind == "late":
        there[start:] = True
    elif kind == "never again":
        there[: start + 1] = True
    elif kind == "one date":
        there[start] = True
    elif kind == "two dates":
        there[[0, dates - 1]] = True
    elif kind == "comes back":
        there[: dates // 5 + 1] = True
        there[dates - dates // 5 - 1 :] = True
    else:
        there[:] = rng.random(dates) < 0.6
    return there


def values(kind: str, rng: np.random.Generator, n: int, missing: float) -> np.ndarray:
    """Numbers (n,) of a column, a share of them missing."""
    plain = rng.normal(size=n)
    of_kind = {
        "plain": plain,
        "ties": plain.round(),
        "huge": 1e12 * plain,
        "tiny": 1e-12 * plain,
        "far from zero": 1e6 + plain,
        "constant": np.full(n, 0.3),
        "two values": np.sign(plain),
    }
    numbers = of_kind[kind].copy()
    numbers[rng.random(n) < missing] = np.nan
    return numbers


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    T = draw(st.integers(2, 150))
    lives = draw(st.lists(st.sampled_from(LIVES), min_size=1, max_size=12))
    there = np.column_stack([life(kind, rng, T) for kind in lives])
    if draw(st.booleans()):  # a stretch of dates, longer than a block, without a row
        first = draw(st.integers(0, T - 1))
        there[first : first + draw(st.integers(1, T))] = False
    there[0, 0] = True
    row, column = np.nonzero(there)
    n = len(row)
    missing = draw(st.sampled_from([0.0, 0.1, 0.7]))
    scales = st.sampled_from(SCALES)
    numbers = {
        "ret": np.clip(0.05 * values(draw(st.sampled_from(SCALES[:2])), rng, n, 0.05), -0.9, None),
        "c": values(draw(scales), rng, n, missing),
        "d": values(draw(scales), rng, n, missing / 2),
        "w": np.abs(values("plain", rng, n, 0.05)),
    }
    dates = pd.bdate_range("2000-01-03", periods=T, name="date")
    names = pd.Index([f"N{i:02}" for i in range(len(lives))])
    listings = Listings(dates, names, row.astype(np.int32), column.astype(np.int32))
    columns = {name: LongColumn(listings, of_name) for name, of_name in numbers.items()}
    market = Market(
        "drawn",
        Fields(columns),
        pd.DataFrame({"rate": rng.normal(size=T)}, dates),
        market_ret=pd.Series(rng.normal(0, 0.01, T), dates, name="M"),
        groups=pd.DataFrame({"sector": [f"S{i % 2}" for i in range(len(lives))]}, index=names),
    )
    features = draw(st.lists(st.sampled_from(list(FEATURES)), min_size=1, max_size=3, unique=True))
    return Drawn(
        market,
        features,
        draw(st.sampled_from(list(TARGETS))),
        draw(st.sampled_from(list(STEPS))),
        draw(st.booleans()),
        numbers=draw(st.sampled_from([1, 50, 400, 10**6])),
        chunk=draw(st.sampled_from([1, 3, 16, 64])),
        read=draw(st.sampled_from([1, 500, 5_000, 2**26])),
        held=draw(st.sampled_from([1, 3_000, 2**28])),
    )


@pytest.fixture(scope="module")
def executors() -> Iterator[dict[str, Executor]]:
    """Workers take a second to start: once for all examples."""
    with Threads(3) as threads, Processes(2) as processes:
        yield {"inline": Inline(), "threads": threads, "processes": processes}


def outcome(do: Any) -> Any:
    """What a call gives, or the lines with which it refuses."""
    try:
        return do()
    except RunnerError as error:
        return list(error.mistakes)


def assert_same(one: Any, other: Any) -> None:
    """The same tables and arrays to the last bit, or the same lines."""
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, strict=True)
    else:
        assert one == other


def account_of(panel: Panel) -> dict[tuple[str, str], int]:
    """What was left out, by what it is and why."""
    return {(line.what, line.reason): line.rows for line in panel.dropped if line.rows}


def folds_of(T: int) -> list[Fold]:
    edges = [T // 2, 2 * T // 3, T]
    nothing = np.arange(0)
    return [
        Fold(str(k), np.arange(start), np.arange(start, stop), nothing)
        for k, (start, stop) in enumerate(pairwise(edges))
        if 0 < start < stop
    ]


def check_own_rows(in_memory: Panel, on_disk: Panel, features: list[str]) -> None:
    """Rows of some of the features, with the account of the others, are those in memory."""
    one, expected = rows_of(in_memory, features, "own", "w")
    other, own = rows_of(on_disk, features, "own", "w")
    listed = with_lone(one.cells)
    np.testing.assert_array_equal(other.cells.held.valid, listed.valid)
    np.testing.assert_array_equal(other.cells.held.X, listed.X)
    assert own.words == expected.words
    assert account_of(other) == account_of(one)
    model = Regression(by=None, cov="HC1")
    fits = [fitted(model, panel) for panel in (one, other)]
    assert type(fits[0]) is type(fits[1])
    for part, expected_part in zip(*fits, strict=True):
        assert_same(part, expected_part)


def fitted(model: Regression, panel: Panel) -> Any:
    def fit() -> Any:
        made = model.fit(panel)
        return made.coefficients, made.quality, made.params

    return outcome(fit)


def check(example: Drawn, executor: Executor, folder: Any) -> None:
    """Cells, estimates and forecasts on disk are those in memory."""
    note(f"{example._replace(market=None)}")
    market = example.market
    recipe = example.recipe
    in_memory = outcome(
        lambda: build_panel(
            market, recipe.features, recipe.target, recipe.steps, recipe.weights, recipe.allow_loss
        )
    )
    on_disk = outcome(lambda: build_in_blocks(market, recipe, folder, executor))
    if not isinstance(in_memory, Panel) or not isinstance(on_disk, Panel):
        assert in_memory == on_disk
        return
    held = on_disk.cells.held
    listed = with_lone(in_memory.cells)  # on disk cells with a target and no feature are rows too
    for name in ("y", "X", "valid", "weights", "raw"):
        np.testing.assert_array_equal(getattr(held, name), getattr(listed, name))
    without = held.without_targets(), on_disk.cells.without_targets()
    np.testing.assert_array_equal(*(cells.usable_by_asset() for cells in without))
    np.testing.assert_array_equal(*(cells.usable_by_date() for cells in without))
    note(f"{account_of(on_disk)} {account_of(in_memory)}")
    assert account_of(on_disk) == account_of(in_memory)
    assert digest_of(on_disk) == digest_of(in_memory)
    if not in_memory.usable_cells:
        return
    for features in (example.features[:1], example.features[:2]):
        check_own_rows(in_memory, on_disk, features)
    for name, of_model in MODELS.items():
        weights = {"weights": "w"} if example.weighted and "estimator" not in of_model else {}
        model = Regression(**of_model, **weights)
        note(name)
        one, other = (fitted(model, panel) for panel in (in_memory, on_disk))
        assert type(one) is type(other), (one, other)
        for part, expected in zip(other, one, strict=True):
            assert_same(part, expected)
    folds = folds_of(len(market.dates))
    for name in ("pooled", "by name", "ridge", "lasso", "Fama-MacBeth"):
        model = Regression(**MODELS[name])
        note(f"forecast: {name}")
        pairs = [(in_memory, on_disk)]
        if folds:
            with_moments = (replace(p, shared=shared_by(folds, p)) for p in pairs[0])
            pairs.append(tuple(with_moments))
        for memory, disk in pairs:
            for fold in folds:
                expected = outcome(lambda: model.forecast(memory, fold))  # noqa: B023
                forecast = outcome(lambda: model.forecast(disk, fold))  # noqa: B023
                assert_same(forecast, expected)
                assert_same(train_means(disk, fold.train), train_means(memory, fold.train))


@pytest.mark.parametrize("executor", ["inline", "threads", "processes"])
@SMALL
@given(example=drawn())
def test_any_blocks_by_any_executor_have_the_bits_of_memory(
    example: Drawn,
    executor: str,
    executors: dict[str, Executor],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    divided(example, executors[executor], tmp_path_factory)


@pytest.mark.slow
@MANY
@given(example=drawn())
def test_many_panels_have_the_bits_of_memory(
    example: Drawn, executors: dict[str, Executor], tmp_path_factory: pytest.TempPathFactory
) -> None:
    divided(example, executors["inline"], tmp_path_factory)


def divided(example: Drawn, executor: Executor, folders: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dividing, "NUMBERS", example.numbers)
        patch.setattr(dividing, "CHUNK", example.chunk)
        patch.setattr(stored, "AT_A_TIME", example.read)
        patch.setattr(stored, "HELD", example.held)
        patch.setattr(stored, "OF_ASSETS", example.held)
        check(example, executor, folders.mktemp("drawn"))

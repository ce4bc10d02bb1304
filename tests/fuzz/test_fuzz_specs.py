"""Specs drawn from the schema itself: half of them run to a result, the others are what they may not be.

Of the first half each is valid by construction: what it computes is set beside a plain computation
(`plain.py`), and of every other key it has any: its value again, another that changes no number,
an interpolation of a key with the same value, a deletion, or it is a sweep. Of the second every key
of every option has what it may not be: it is a spec, or it is refused with exit code 2 and a line
per mistake. Nothing else may come of either: no traceback, no second line, no endless work. A
failing spec shrinks to its overrides. With --slow forty times as many are drawn.
"""

from __future__ import annotations

import json
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from plain import Plain, interval, plain_specs

import runner
from runner.cli.composition import Composer
from runner.errors import RunnerError

SEED = 20261127
EXAMPLES = 200  # some 60 s of CPU
MORE = 40  # times as many with --slow
AT_ONCE = 10.0  # seconds of CPU that a spec may take to be checked
LONGEST = 4000  # characters of a line
RAN = 0.4  # least share of specs that run to a result
CLOSE = 1e-6  # relative: of the least absolute penalties, which scikit-learn finds by descent
NEAR_ZERO = 1e-9  # of the largest estimate: where nothing relative can be asked
GROUPS = ("data", "features", "target", "model", "validation", "sweep", "experiment")
VALUES = [
    *["null", "true", "false", "''", "' '", "x", "???", "'null'", "é", "'a b'", "a:b"],
    *["-1", "0", "1", "2", "0.5", "-0.5", "1e-320", "1e23", "1e400", "-1e400", "nan", "inf"],
    *["2147483648", "9223372036854775808", "1" + "0" * 40, "1_000", "0x10", "0700", "'1'"],
    *["[]", "{}", "[1]", "[[]]", "[null]", "[a,a]", "{a: 1}", "{1: a}", "{a: {b: [1]}}"],
    *["${nope}", "${model}", "${data}", "${oc.env:NOPE}", "${oc.env:HOME}", "${model.cov}", "${"],
    *["'2020-01-01'", "2020-13-45", "asset", "date", "[asset,date]", "1y", "'3m'", "09:31-16:00"],
    *["'../x'", "/dev/null", "'~'", "'\\x1b[31m'", "'\\u202e'", "'[red]'", "'%s'", "'$x'"],
    *["runner.models.Regression", "os.system", ".", "runner", "[os]", "['.']", "[runner]"],
    *["{_target_: os.system}", "{_target_: runner.validation.KFold, folds: 1}", "{_target_: 1}"],
    *["'const = 0'", "['const = 0']", "['x = ']", "['MktRF = 1 if horizon = 0']"],
    *["close", "lag(x)"],
]
# what a key may say that changes no number of these specs, beside what it says
ALIKE = {
    "name": ["'a b'", "'<b>x</b>'", "x" * 100, "'[red]é\\u202e'"],
    "audit_seed": ["0", "7", "2147483647"],
    "report": ["full", "tables"],
    "ledger": ["elsewhere/'a b'.db", "x"],
    "table.brackets": ["t", "ci", "se"],
    "table.stars": ["[]", "[0.2]", "[0.5,0.01]"],
    "table.labels": ["{const: 'a $b$ <i>'}"],
    "table.digits": ["0", "3", "9"],
    "table.notes": ["['n & m']"],
    "table.title": ["'T_1 \\\\ x'"],
    "table.formats": ["[]", "[latex]", "[markdown]"],
    "tracking.uri": ["sqlite:///x.db", "http://127.0.0.1:9", "'sqlite:////tmp/a b?c'"],
    "tracking.experiment": ["'é x'"],
    "tracking.timeout": ["1", "86400"],
    "tracking.retries": ["0", "9"],
    "allow": ["[json]"],
    "data.allow_loss": ["0.0", "1.0", "0.5"],
    "data.start": ["'2021-01-04'", "'1990-01-01'", "2020-12-31", "null"],
    "data.end": ["'2100-01-01'", "null"],
    "data.columns": ["{date: date, asset: asset, close: close, signal: signal}"],
    "model.rows": ["own"],
    "sweep.workers": ["1", "64"],
    "sweep.retries": ["0", "3"],
    "hydra.run.dir": ["'a b'", "x/${name}"],
}
FIXED = ("audit", "_target_", "data.market", "data.values")  # what they say is said otherwise


@cache
def composer() -> Composer:
    return Composer()


@cache
def options(group: str) -> tuple[str, ...]:
    """The options of a group, and what is none."""
    return tuple(composer().hydra.config_loader.get_group_options(group))


def keys_of(node: Any, place: str = "") -> Iterator[str]:
    """The dotted key of every node of a spec."""
    if place:
        yield place
    if isinstance(node, Mapping):
        for name, inner in node.items():
            yield from keys_of(inner, f"{place}.{name}" if place else str(name))


def leaves(node: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted key of every value of a spec, and the value."""
    for name, inner in node.items():
        key = f"{place}.{name}" if place else str(name)
        if isinstance(inner, Mapping) and inner:
            yield from leaves(inner, key)
        else:
            yield key, inner


@cache
def keys(chosen: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that a spec with these options has, and those of its sweep and of its directories."""
    spec, _ = composer().places(list(chosen))
    more = [f"sweep.{name}" for name in vars(composer().sweep([]))]
    return (*keys_of(spec), *more, "hydra.run.dir", "data.nope", "model.nope", "nope")


@st.composite
def overrides(draw: st.DrawFn) -> list[str]:
    """An option of some groups, and a few keys of the spec that they make with other values."""
    groups = draw(st.lists(st.sampled_from(GROUPS[:5]), max_size=3, unique=True))
    chosen = [f"{group}={draw(st.sampled_from(options(group)))}" for group in groups]
    if draw(st.booleans()):
        chosen.append("experiment=none")
    words = list(chosen)
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from([*keys(tuple(chosen)), *GROUPS]))
        prefix = draw(st.sampled_from(["", "", "", "", "+", "++", "~"]))
        quoted = st.text(max_size=6).map(lambda text: "'" + text.replace("'", "\\'") + "'")
        value = draw(st.one_of(st.sampled_from(VALUES), st.sampled_from(VALUES), quoted))
        words.append(f"~{key}" if prefix == "~" else f"{prefix}{key}={value}")
    return words


def asides(words: list[str]) -> dict[str, list[str]]:
    """Overrides that change no number of a spec with these words, by their key."""
    given = {word.partition("=")[0].lstrip("+~") for word in words}
    spec, _ = composer().places(["data=frame", "experiment=none", *words])
    values = {key: value for key, value in leaves(spec) if not key.endswith(FIXED)}
    asides = {}
    for key, value in values.items():
        asides[key] = [f"{key}={written(value)}"]
        if isinstance(value, Mapping | list):
            asides[key] += [f"~{key}"] * (not value)
            continue
        alike = (other for other in values if other != key and is_same(values[other], value))
        asides[key] += [f"{key}=${{{other}}}" for other in alike]
    for key, others in ALIKE.items():
        asides[key] = asides.get(key, []) + [f"{key}={other}" for other in others]
    return {key: words for key, words in asides.items() if key not in given}


def is_same(one: Any, other: Any) -> bool:
    """Whether two settings have the same value of the same type."""
    return type(one) is type(other) and one == other


def written(value: Any) -> str:
    """A value as an override gives it."""
    if isinstance(value, str):
        return "'" + value.replace("'", "\\'") + "'"
    return json.dumps(value)


def mistakes_of(words: list[str]) -> tuple[str, ...]:
    """The lines that refuse a spec; none where it is one."""
    try:
        composer().job(words)
    except RunnerError as error:
        refusal = error
    else:
        return ()
    assert refusal.exit_code == 2
    assert refusal.mistakes
    return refusal.mistakes


def assert_refused_or_a_spec(words: list[str]) -> None:
    """It is a spec, or each of its mistakes is one line, at once."""
    begun = time.process_time()
    lines = mistakes_of(words)
    assert time.process_time() - begun < AT_ONCE
    for line in lines:
        assert "\n" not in line
        assert ": " in line
        assert len(line) < LONGEST


def assert_as_plain(spec: Plain) -> None:
    """It runs, and its numbers are those of the plain computation."""
    data = spec.data()
    if not spec.swept:
        report = runner.run(*spec.words(), data=data)
        assert_equal(spec, spec.cov, report.coefficients)
        assert_forecasts(spec, report.predictions)
        return
    swept = runner.sweep(*spec.words(), data=data)
    assert len(swept.failures) == 0
    for number, cov in enumerate(spec.swept):
        assert_equal(spec, cov, swept.reports[number].coefficients)


def assert_equal(spec: Plain, cov: str, table: pd.DataFrame) -> None:
    """The coefficients of every regression are the plain ones."""
    for unit, rows in spec.units(spec.cells).items():
        expected = spec.estimates(rows, cov)
        found = table[table["unit"] == unit] if unit else table
        if spec.model == "means":
            found = table[table["scope"] == "mean"]
        elif spec.model == "within":
            found = table[table["term"] != "const"]
        least = NEAR_ZERO * np.abs(expected.values).max() + 1e-300
        close(found["estimate"], expected.values, least)
        if expected.errors is None:
            continue
        close(found["std_error"], expected.errors)
        low, high = interval(expected, spec.confidence)
        largest = float(CLOSE * expected.errors.max())
        close(found["ci_low"], low, largest)
        close(found["ci_high"], high, largest)


def close(found: pd.Series, expected: np.ndarray, least: float = 0.0) -> None:
    np.testing.assert_allclose(found, expected, rtol=CLOSE, atol=least)


def assert_forecasts(spec: Plain, table: pd.DataFrame) -> None:
    """Every forecast that the plain computation can make is there, and the same."""
    if spec.splitter == "none":
        return
    index = spec.tables[0].index
    dates = index.get_indexer(table["date"])
    assets = table["asset"].str[1:].astype(int)
    found = dict(zip(zip(dates, assets, strict=True), table["prediction"], strict=True))
    expected = spec.forecasts()
    same = [found[cell] for cell in expected]
    values = np.array(list(expected.values()))
    np.testing.assert_allclose(same, values, rtol=CLOSE, atol=NEAR_ZERO)


def test_half_of_the_specs_run_as_a_plain_computation_and_none_is_a_traceback(
    pytestconfig: pytest.Config,
) -> None:
    most = EXAMPLES * (MORE if pytestconfig.getoption("--slow") else 1)
    outcomes: Counter[str] = Counter()

    @seed(SEED)
    @settings(
        max_examples=most, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.one_of(plain_specs(asides), overrides()))
    def check(drawn: Plain | list[str]) -> None:
        if not isinstance(drawn, Plain):
            assert_refused_or_a_spec(drawn)
            outcomes["drawn to be wrong"] += 1
        elif drawn.is_large():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert_as_plain(drawn)
            outcomes["run"] += 1
        else:
            outcomes["too few rows"] += 1

    check()
    print(dict(outcomes))
    assert outcomes["run"] >= RAN * outcomes.total()


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("value", ["null", "2", "true", "[]", "[1,a]", "???", "1e23", "''", "x"])
def test_every_group_with_what_is_no_option(group: str, value: str) -> None:
    lines = mistakes_of([f"{group}={value}"])
    assert len(lines) == 1
    assert lines[0].startswith((f"{group}: ", f"{group}=", "name: "))


def test_a_key_that_is_null_has_nothing_to_delete() -> None:
    [line] = mistakes_of(["experiment=none", "~model.weights"])
    assert (
        line
        == "~model.weights: model.weights is null already; allowed: the same without ~model.weights"
    )

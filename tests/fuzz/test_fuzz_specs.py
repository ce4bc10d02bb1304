"""Specs drawn from the schema itself: every key of every option with what it may not be.

Each is checked as a run would check it, before any data is read: it is a spec, or it is refused with
exit code 2 and a line per mistake. Nothing else may come of it: no traceback, no second line, no
endless work. A failing spec shrinks to its overrides. With --slow forty times as many are drawn.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from runner.cli.composition import Composer
from runner.errors import RunnerError

SEED = 20261127
EXAMPLES = 100  # some 60 s of CPU
MORE = 40  # times as many with --slow
AT_ONCE = 10.0  # seconds of CPU that a spec may take to be checked
LONGEST = 4000  # characters of a line
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
    *[
        "'const = 0'",
        "['const = 0']",
        "['x = ']",
        "['MktRF = 1 if horizon = 0']",
        "close",
        "lag(x)",
    ],
]


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


def test_every_spec_is_checked_or_refused_in_one_line_per_mistake(
    pytestconfig: pytest.Config,
) -> None:
    most = EXAMPLES * (MORE if pytestconfig.getoption("--slow") else 1)

    @seed(SEED)
    @settings(
        max_examples=most, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(overrides())
    def check(words: list[str]) -> None:
        begun = time.process_time()
        lines = mistakes_of(words)
        assert time.process_time() - begun < AT_ONCE
        for line in lines:
            assert "\n" not in line
            assert ": " in line
            assert len(line) < LONGEST

    check()


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("value", ["null", "2", "true", "[]", "[1,a]", "???", "1e23", "''", "x"])
def test_every_group_with_what_is_no_option(group: str, value: str) -> None:
    lines = mistakes_of([f"{group}={value}"])
    assert len(lines) == 1
    assert lines[0].startswith((f"{group}: ", f"{group}=", "name: "))

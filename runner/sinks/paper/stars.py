"""The stars of a regression table: which p-values they are of, and why some have none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runner.errors import listed
from runner.sinks.paper.plan import Place, Plan
from runner.sinks.paper.runs import HEADLINE, Estimates, Run
from runner.text import count
from runner.trials.adjust import holm

Test = tuple[Place, str]  # a regression and its coefficient


@dataclass(frozen=True)
class Judged:
    """The p-values that stars are of.

    Attributes:
        p_values: by regression and coefficient; absent where there is no test, or no trust in it.
        withheld: why a tested coefficient bears no star, by regression and coefficient.
        tests: that the p-values are adjusted for; 0 where they are not adjusted.
    """

    p_values: Mapping[Test, float]
    withheld: Mapping[Test, str]
    tests: int


def judged(plan: Plan, runs: Sequence[Run], estimates: Mapping[Place, Estimates]) -> Judged:
    """The p-values of a table; of several runs, adjusted by Holm (1979) for all that they test.

    Args:
        runs: all of those compared, those without a column too.
        estimates: of every regression of `runs` that the table may have.
    """
    p_values: dict[Test, float] = {}
    withheld: dict[Test, str] = {}
    for place, of_place in estimates.items():
        for term in plan.terms:
            estimate = of_place.by_term.get(term)
            if estimate is None or np.isnan(estimate.p_value):
                continue
            reason = of_place.doubts.get(term, "")
            if reason:
                withheld[place, term] = reason
            else:
                p_values[place, term] = estimate.p_value
    if len(runs) == 1:
        return Judged(p_values, withheld, 0)
    unadjusted = np.array(list(p_values.values()), dtype=float)
    adjusted = holm(unadjusted)
    by_test = dict(zip(p_values, adjusted.tolist(), strict=True))
    return Judged(by_test, withheld, len(by_test))


def compared(plan: Plan, runs: Sequence[Run]) -> dict[Place, Estimates]:
    """The estimates of every regression that the table is about, of all runs."""
    estimates = {}
    for number, run in enumerate(runs):
        units = (HEADLINE,) if plan.units == (HEADLINE,) else run.units
        for unit in units:
            of_unit = run.of(unit)
            if of_unit is not None:
                estimates[Place(number, unit)] = of_unit
    return estimates


def stars(p_value: float, levels: Iterable[float]) -> str:
    """A star for each level that the p-value is below."""
    passed = [level for level in levels if p_value < level]
    return "*" * len(passed)


def sentences(
    tests_judged: Judged, plan: Plan, columns: Sequence[str], levels: Sequence[float]
) -> list[str]:
    """What the stars mean, and where there are none for which reason."""
    if not levels:
        return []
    shown = _shown(plan)
    words = []
    if any(test in tests_judged.p_values for test in shown):
        words.append(_meaning(tests_judged, levels, len(columns)))
    reasons: dict[str, list[Test]] = {}
    details: dict[str, str] = {}
    for test in shown:
        if test in tests_judged.withheld:
            reason = tests_judged.withheld[test]
            kind, _, _ = reason.partition(" (")
            details.setdefault(kind, reason)
            reasons.setdefault(kind, []).append(test)
    for kind, tests in reasons.items():
        where = _where(tests, shown, plan, columns)
        words.append(f"No stars{where}: {details[kind]}.")
    return words


def _shown(plan: Plan) -> dict[Test, int]:
    """The column of every test that the table shows."""
    shown: dict[Test, int] = {}
    for panel in plan.panels:
        for line in panel.lines:
            for column, place in enumerate(line.places):
                shown[place, line.term] = column
    return shown


def _meaning(tests_judged: Judged, levels: Sequence[float], columns: int) -> str:
    """Such as: *, ** and *** denote significance at the 10 %, 5 % and 1 % level."""
    ordered = sorted(levels, reverse=True)
    marks = [("*" * number) for number in range(1, len(ordered) + 1)]
    named = [level_text(level) for level in ordered]
    noun = "level" if len(ordered) == 1 else "levels"
    verb = "denotes" if len(ordered) == 1 else "denote"
    text = f"{_and(marks)} {verb} significance at the {_and(named)} {noun}"
    if tests_judged.tests:
        tests = count(tests_judged.tests, "test")
        return f"{text}, by p-values adjusted by Holm (1979) for {tests}."
    if columns > 1:
        return f"{text}, each p-value as if it were the only test."
    return f"{text}."


def level_text(level: float) -> str:
    """A level such as 5 %, without decimals that say nothing."""
    return f"{100.0 * level:g} %"


def _and(words: Sequence[str]) -> str:
    """Such as: a, b and c."""
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _where(
    tests: Sequence[Test], shown: Mapping[Test, int], plan: Plan, columns: Sequence[str]
) -> str:
    """For which coefficients and in which columns, where these are not all."""
    terms = list(dict.fromkeys(term for _, term in tests))
    numbers = sorted({shown[test] for test in tests})
    text = ""
    if len(terms) < len(plan.terms):
        text += f" for {listed(terms)}"
    if len(numbers) < len(columns):
        names = [columns[number] for number in numbers]
        text += f" in {listed(names)}"
    return text

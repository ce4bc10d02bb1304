"""The story of a report in few sentences: the answer, what warns of something, and the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from runner.data.accounts.account import taken
from runner.experiment.cautions import cautions

if TYPE_CHECKING:
    from runner.experiment.report import Report

AUDIT = "Look-ahead audit"
WARNINGS = ("Data", "Standard errors", AUDIT, "Left out")
MOST_WARNINGS = 8  # sentences of each of them
MOST_LEFT_OUT = 2  # of what was left out: the lines of an account, all in `dropped.csv`
LEFT_OUT = ("Coefficients", "Rows")  # of a story in short
LAST = ("Fit", "Trials")  # of the others


class Short(NamedTuple):
    """Sentences by subject.

    Attributes:
        answer: the sentence that answers first; empty where there is none.
        warnings: what is always said.
        others: what is said where there is room, the more important first.
    """

    answer: str
    warnings: Mapping[str, Sequence[str]]
    others: Mapping[str, Sequence[str]]


def answering(report: Report, told: Mapping[str, Sequence[str]]) -> str:
    """The subject that answers first, of those told.

    What the first strategy of the run earned; without one, how well the model does out of sample;
    without that, how well it fits. Empty where none of them is told.
    """
    score = "Fit" if report.scores.empty else "Out of sample"
    subjects = [*_strategies(report, told), score]
    return next((subject for subject in subjects if subject in told), "")


def in_short(report: Report, told: Mapping[str, Sequence[str]], means_shown: bool) -> Short:
    """Of each subject its first sentence and how many there are more; warnings whole.

    Args:
        told: every sentence by subject.
        means_shown: whether means over assets are shown, whose errors want a caution.
    """
    every = {**told}
    every["Data"] = [*report.panel.notes, *taken(report.study.market)]
    every["Standard errors"] = cautions(report, of_mean=means_shown)
    if is_clean(report):
        every[AUDIT] = []
    tests = every.get("Hypotheses", ())
    every["Hypotheses"] = [*tests[-1:], *tests[:-1]]  # that of all assets together is the last
    subject = answering(report, told)
    first = _first(every.pop(subject, ()), 1)
    warnings = {name: _first(every.pop(name, ()), _most(name)) for name in WARNINGS}
    others = {}
    for name in _in_order(report, every):
        others[name] = _first(every[name], 1)
    return Short(first[0] if first else "", _told(warnings), _told(others))


def is_clean(report: Report) -> bool:
    """Whether the audit found no look-ahead, and has nothing else to say."""
    audit = report.audit
    if audit is None or report.leaks or len(audit.words) > 1:
        return False
    return audit.looks_ahead is not False or report.panel.horizon == 0


def _strategies(report: Report, told: Mapping[str, Sequence[str]]) -> list[str]:
    """The subjects of strategies: what has wealth over time."""
    subjects = []
    for name, finding in report.findings.items():
        subject = name.replace("_", " ").capitalize()
        if finding.wealth is not None and subject in told:
            subjects.append(subject)
    return subjects


def _in_order(report: Report, told: Mapping[str, Sequence[str]]) -> list[str]:
    """The subjects that are no warnings, the more important first."""
    first = [*_strategies(report, told), "Out of sample", "Hypotheses", "Diagnostics"]
    if report.trials is not None and report.trials.trials > 1:
        first.append("Trials")
    middle = [name for name in told if name not in LAST and name not in LEFT_OUT]
    ordered = dict.fromkeys([*first, *middle, *LAST])
    return [name for name in ordered if name in told]


def _most(subject: str) -> int:
    """How many sentences of a warning are told."""
    return MOST_LEFT_OUT if subject == "Left out" else MOST_WARNINGS


def _first(sentences: Sequence[str], most: int) -> list[str]:
    """So many of the sentences, the last with the number of those left out."""
    kept = list(sentences[:most])
    more = len(sentences) - len(kept)
    if more:
        kept[-1] += f" [{more} more]"
    return kept


def _told(subjects: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Those with a sentence."""
    return {name: sentences for name, sentences in subjects.items() if sentences}

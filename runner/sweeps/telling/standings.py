"""How each job of a sweep stands in MLflow: rank, name, colour, and numbers as a paper has them."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.experiment.spec import CHOSEN
from runner.sweeps.comparison.common import COMMON
from runner.sweeps.comparison.texts import score_text, value_texts
from runner.text import number, stars

if TYPE_CHECKING:
    from runner.sweeps.comparison.comparison import Comparison, Outcome

# Okabe and Ito's colours, which the colour-blind can tell apart, for the best; greys for the rest
# and for failures
BEST = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
REST = "#999999"
FAILED = "#D9D9D9"
MOST_TERMS = 8  # terms with a column of their own
LONGEST_VALUE = 40  # letters of a choice in a name
LONGEST_NAME = 200  # letters of a name
ERROR_DIGITS = 3  # significant digits of a standard error; its estimate ends at the same decimal
FINEST = 7  # decimals beyond which a number is written with a power of ten
WORDS = {
    "r2": "R2",
    "r2_adj": "adjusted R2",
    "rmse": "RMSE",
    "mae": "MAE",
    "n_obs": "rows",
    "rank_ic": "rank corr.",
}
SAMPLES = {"common": "common", "oos": "OOS", "fit": "in sample", "holdout": "hold-out"}
# beside the score, the metrics of a row
EVIDENCE = ("common/n_obs", "oos/r2", "oos/rmse", "oos/n_obs", "fit/r2")
NO_BREAK = "\u00a0"
LINE = 260  # pixels that a line of a cell is filled up to
LETTER = 6.2  # pixels of a letter
SPACE = 3.6  # pixels of a space


@dataclass(frozen=True)
class Standing:
    """How a job stands: what its run in MLflow is called and shown with.

    Attributes:
        job: its number; key: what it is known by, empty where its data could not be read.
        name: rank and what differs.
        colour: the same in every chart.
        metrics: rank, and scores on common rows.
        tags: texts, a column each: scores and coefficients with every digit that a paper prints.
        table: the columns of `side_by_side.json`; None for a failed job.
    """

    job: int
    key: str
    name: str
    colour: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    table: Mapping[str, Any] | None = None

    @property
    def side_by_side(self) -> str:
        """The table as MLflow's artifact view reads it."""
        return json.dumps(self.table, ensure_ascii=False)


Rows = Mapping[str, Mapping[Hashable, Any]]  # of the headline coefficients, by term


class Columns(NamedTuple):
    """What every job is shown with: metrics, and terms of its regression."""

    scores: Sequence[str]
    terms: Sequence[str]


def standings(comparison: Comparison) -> list[Standing]:
    """Every job that was tried, best first; failed ones last, named so."""
    names_by_all = _labels(comparison, comparison.names)
    differing = varying(comparison)
    labels = names_by_all
    if differing:
        labels = _labels(comparison, differing)
    columns = Columns(evidence(comparison), shown_terms(comparison))
    ranking = []
    for position, outcome in enumerate(comparison.ranked):
        standing = _finished(comparison, position, outcome, labels, columns)
        ranking.append(standing)
    keys = {job.number: job.key for job in comparison.plan.jobs}
    was_tried = comparison.failures["outcome"] != "not run"
    tried = comparison.failures[was_tried]
    for number_of_job, outcome_of_job in zip(tried["job"], tried["outcome"], strict=True):
        job = int(number_of_job)
        name = f"{outcome_of_job}: {names_by_all[job]}"
        standing = Standing(job, keys[job], name[:LONGEST_NAME], FAILED)
        ranking.append(standing)
    return ranking


def shown_terms(comparison: Comparison) -> list[str]:
    """The terms with a column, at most eight: those of most jobs first, the constant last."""
    terms = comparison.central["term"]
    jobs_with = terms.value_counts()
    distinct = dict.fromkeys(terms)
    in_order = list(distinct)  # sorting keeps this order among equals

    def rarity(term: str) -> tuple[bool, int]:
        jobs = int(jobs_with[term])
        return term == "const", -jobs

    by_rarity = sorted(in_order, key=rarity)
    return by_rarity[:MOST_TERMS]


def heading(metric: str) -> str:
    """The heading of a column of scores: R2 common, R2 OOS, rows in sample."""
    sample, _, name = metric.partition("/")
    if sample not in SAMPLES:
        return metric
    score = WORDS.get(name, name)
    return f"{score} {SAMPLES[sample]}"


def coefficient_heading(term: str) -> str:
    """The heading of a column of coefficients."""
    return f"b {term}"


def estimate_text(estimate: float, error: float, p_value: float) -> str:
    """An estimate with stars and standard error, to the same decimal: 1.0310** (0.0722)."""
    significance = stars(p_value)
    if not math.isfinite(error) or error <= 0.0:
        return f"{number(estimate)}{significance}"
    power = math.log10(error)
    magnitude = math.floor(power)
    last_digit = ERROR_DIGITS - 1
    decimals = last_digit - magnitude
    if decimals > FINEST or decimals < 0:
        error_text = number(error, ERROR_DIGITS)
        return f"{number(estimate)}{significance} ({error_text})"
    rounded = f"{estimate:.{decimals}f}"
    return f"{rounded}{significance} ({error:.{decimals}f})"


def evidence(comparison: Comparison) -> list[str]:
    """The metrics that every row shows, where some job has them.

    They are the score, its baseline, and those of `EVIDENCE`.
    """
    present: set[str] = set()
    for outcome in comparison.outcomes:
        present.update(outcome.metrics)
    baseline = f"{comparison.score}_naive"
    wanted = dict.fromkeys((comparison.score, baseline, *EVIDENCE))
    return [name for name in wanted if name in present]


def varying(comparison: Comparison) -> dict[str, str]:
    """The keys that differ between finished jobs, dotted, by their short names."""
    numbers = [outcome.job.number for outcome in comparison.outcomes]
    finished = comparison.choices.loc[numbers]
    differing = {}
    for name, key in comparison.names.items():
        values = finished[name].astype(str)
        if values.nunique() > 1:
            differing[name] = key
    return differing


def _labels(comparison: Comparison, names: Mapping[str, str]) -> dict[int, str]:
    """What differs of each job in these keys.

    A chosen option stands by itself, a setting with its name.
    """
    if not names:
        return dict(comparison.plan.names)
    jobs = comparison.choices.index
    parts: dict[int, list[str]] = {job: [] for job in jobs}
    for name, key in names.items():
        values = [_plain(value) for value in comparison.choices[name]]
        texts = value_texts(values, LONGEST_VALUE)
        if key not in CHOSEN:
            texts = [f"{name}={text}" for text in texts]
        for job, text in zip(jobs, texts, strict=True):
            parts[job].append(text)
    return {job: " ".join(texts) for job, texts in parts.items()}


def _plain(value: Any) -> Any:
    """A number as one types it, to six digits; what is no number as it is."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return value


def _finished(
    comparison: Comparison,
    position: int,
    outcome: Outcome,
    labels: Mapping[int, str],
    columns: Columns,
) -> Standing:
    """How a finished job stands, at this position among the finished, counted from 0."""
    number_of_job = outcome.job.number
    rank = comparison.ranks[number_of_job]
    unranked = str(rank) in ("<NA>", "nan")
    parts = ["–" if unranked else str(rank)]
    if comparison.cross_validated(outcome):
        parts.append("cv")
    parts.append(labels[number_of_job])
    if unranked:
        is_ranked = comparison.ranks.notna()
        ranked = int(is_ranked.sum())
        rank = ranked + 1  # the runs page orders all runs
    metrics = {"rank": float(rank)}
    for name, value in outcome.metrics.items():
        if name.startswith(COMMON):
            metrics[name] = value
    rows = {}
    for row in outcome.central.to_dict("records"):
        term = str(row["term"])
        rows[term] = row
    return Standing(
        job=number_of_job,
        key=outcome.job.key,
        name=" ".join(parts)[:LONGEST_NAME],
        colour=BEST[position] if position < len(BEST) else REST,
        metrics=metrics,
        tags=_texts(outcome, rows, columns),
        table=_table(outcome, rows, columns),
    )


def _texts(outcome: Outcome, rows: Rows, columns: Columns) -> dict[str, str]:
    """Scores, coefficients and what a reader must know of the job, by the heading of the column."""
    texts = {}
    for name in columns.scores:
        if name in outcome.metrics:
            column = heading(name)
            texts[column] = score_text(name, outcome.metrics[name])
    for term in columns.terms:
        if term in rows:
            column = coefficient_heading(term)
            texts[column] = _estimate(rows[term])
    if outcome.about.get("leaks"):
        texts["leaking"] = "yes"
    if outcome.errors:
        texts["errors"] = outcome.errors
    return texts


def _estimate(row: Mapping[Hashable, Any]) -> str:
    """The estimate of a row of coefficients, as a paper prints it."""
    return estimate_text(row["estimate"], row["std_error"], row["judged"])


def _table(outcome: Outcome, rows: Rows, columns: Columns) -> dict[str, Any]:
    """A row per block, its lines filled up with spaces at which no line is broken."""
    scores = []
    for name in columns.scores:
        if name in outcome.metrics:
            score = score_text(name, outcome.metrics[name])
            scores.append(f"{heading(name)} {score}")
    coefficients = [f"{term} {_estimate(row)}" for term, row in rows.items()]
    errors = [outcome.errors] if outcome.errors else []
    blocks = {
        "coefficients (std. error)": coefficients,
        "scores": scores,
        "standard errors": errors,
    }
    data = [[block, _lines(lines)] for block, lines in blocks.items() if lines]
    return {"columns": ["what", "value"], "data": data}


def _lines(lines: Sequence[str]) -> str:
    """Lines of a cell; the artifact view breaks at plain spaces where the next would not fit."""
    if len(lines) == 1:
        return lines[0]
    return " ".join(_filled(line) for line in lines)


def _filled(line: str) -> str:
    """The line with no-break spaces only, and so many of them that no other line fits beside it."""
    missing_pixels = LINE - LETTER * len(line)
    missing = max(0, round(missing_pixels / SPACE))
    unbroken = line.replace(" ", NO_BREAK)
    return unbroken + NO_BREAK * missing

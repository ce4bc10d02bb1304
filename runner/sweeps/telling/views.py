"""What MLflow shows of a sweep beyond its runs: saved views, and descriptions in Markdown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from runner.experiment.spec import CHOSEN
from runner.sinks import view
from runner.sinks.paper.written.markdown import escaped
from runner.sinks.view import Mode, Section, View
from runner.sweeps.comparison.texts import score_text
from runner.sweeps.telling.standings import (
    coefficient_heading,
    evidence,
    heading,
    shown_terms,
    varying,
)
from runner.text import count, number

if TYPE_CHECKING:
    from runner.sweeps.comparison.comparison import Comparison
    from runner.sweeps.telling.standings import Standing

LEADERBOARD = "Leaderboard"  # the first link of a description
# the last part of a view's key
FIRST = "leaderboard"
TABLE = "table"
GROUPS = "groups"
CHARTS = "charts"
BEST = 10  # jobs of the leaderboard in the description of the parent run
MOST_CARDS = 6  # cards of a section on coefficients
MOST_KEYS = 4  # keys that the first line of a description names
# letters of the first line on what survives: MLflow folds a description after five lines
LONGEST_FIRST = 180
NEWEST = "Newest sweep: "  # how the first line of the experiment's description begins
# columns of the newest runs, before the coefficients
SCORES = ("oos/r2", "oos/rmse", "fit/r2", "fit/n_obs")
SERIES = ("by year", "by fold")  # how series over steps begin


def order_of(comparison: Comparison) -> tuple[str, bool]:
    """The column that orders the jobs, and whether it rises.

    Ordered by a metric that no run has, MLflow would show the newest first in silence.
    """
    return view.RANKED if comparison.outcomes else view.NEWEST


def facets(comparison: Comparison, tags: Mapping[str, str]) -> dict[str, Any]:
    """Filter and order of the jobs of the sweep: what a link can say to any MLflow."""
    jobs = View("", [], view.where(tags), order_of(comparison))
    return jobs.facets


def views(
    comparison: Comparison,
    places: Sequence[Standing],
    tags: Mapping[str, str],
    day: str,
    metrics: Iterable[str],
) -> dict[str, View]:
    """The saved views of a sweep: leaderboard, regression table, by group, charts.

    Args:
        places: how the jobs stand.
        tags: that every run of the sweep has.
        day: that the sweep ended on.
        metrics: of all its runs, as MLflow names them.
    """
    names = list(metrics)
    shared = View(
        name="",
        columns=[],
        where=view.where(tags),
        order=order_of(comparison),
        sections=_sections(comparison, set(names)),
        removed=sorted(names),
        letters=_widths(comparison, places),
    )

    def named(name: str, columns: Sequence[str], group_by: str = "") -> View:
        title = f"{day} {comparison.plan.name}: {name}"
        return replace(shared, name=title, columns=columns, group_by=group_by)

    params = [view.param(name) for name in comparison.params]
    scores = [view.tag(heading(name)) for name in evidence(comparison)]
    terms = []
    for term in shown_terms(comparison):
        column = view.allowed(coefficient_heading(term))
        tag = view.tag(column)
        terms.append(tag)
    leaking = []
    if any(outcome.about.get("leaks") for outcome in comparison.outcomes):
        tag_of_leaking = view.tag("leaking")
        leaking.append(tag_of_leaking)
    errors = view.tag("errors")
    saved = {
        FIRST: named("leaderboard", [*params, *leaking, *scores, *terms]),
        TABLE: named("regression table", [*params, *terms, *scores[:2], errors]),
        CHARTS: named("charts", [*params, *scores]),
    }
    options = [name for name in comparison.params if name in CHOSEN]
    groups = options or comparison.params
    if groups:
        numbers = [view.metric(name) for name in evidence(comparison)]
        group = groups[0]
        saved[GROUPS] = named(f"by {group}", [*numbers, *params], group)
    return saved


def _widths(comparison: Comparison, places: Sequence[Standing]) -> dict[str, int]:
    """Letters of the longest text of each column that shows settings or texts of the jobs."""
    widths = {}
    for name, key in comparison.names.items():
        column = view.param(key)
        choices = comparison.choices[name].astype(str)
        widths[column] = _longest(choices)
    for standing in places:
        for name, text in standing.tags.items():
            allowed_name = view.allowed(name)
            column = view.tag(allowed_name)
            widest = widths.get(column, 0)
            widths[column] = max(widest, len(text))
    return widths


def _longest(texts: Iterable[str]) -> int:
    """Letters of the longest text."""
    lengths = map(len, texts)
    return max(lengths, default=0)


def newest_view(runs: Sequence[Any]) -> View:
    """The view of the newest runs, whatever they belong to: options, scores, fit, coefficients."""
    widths = {}
    for name in CHOSEN:
        values = [run.data.params[name] for run in runs if name in run.data.params]
        if values:
            column = view.param(name)
            widths[column] = _longest(values)
    metrics = [view.metric(name) for name in _columns(runs)]
    columns = [*widths, *metrics]
    return View("Newest runs", columns, letters=widths)


def _columns(runs: Sequence[Any]) -> list[str]:
    """Metrics worth a column: scores and fit, then coefficients of the run with most of them."""
    present: set[str] = set()
    terms: list[str] = []
    for run in runs:
        metrics = run.data.metrics
        present.update(metrics)
        coefficients = [name for name in metrics if name.startswith("coef/")]
        all_terms = len(coefficients)
        if all_terms > len(terms):
            terms = sorted(name.removeprefix("coef/") for name in coefficients)
    wanted = list(SCORES)
    for term in terms:
        wanted.append(f"coef/{term}")
        wanted.append(f"tstat/{term}")
    return [name for name in wanted if name in present]


def _sections(comparison: Comparison, metrics: set[str]) -> list[Section]:
    """The charts: the answer, the coefficients, what is over years and folds."""
    score = comparison.score
    answer = []
    if score:
        bar = view.bar(score)
        answer.append(bar)
        if score != "fit/r2" and "fit/r2" in metrics:
            scatter = view.scatter("fit/r2", score)
            answer.append(scatter)
        axes = [key for key in varying(comparison).values() if key in comparison.params]
        if axes:
            parallel = view.parallel(axes, [score])
            answer.append(parallel)
    bars = []
    for term in shown_terms(comparison):
        metric = f"coef/{term}"
        coefficient = view.allowed(metric)
        if term != "const" and coefficient in metrics:
            bars.append(view.bar(coefficient))
    series = [name for name in sorted(metrics) if name.startswith(SERIES)]
    lines = [view.line(name) for name in series]
    sections = [
        Section("Answer", 3, answer),
        Section("Coefficients", 3, bars[:MOST_CARDS]),
        Section("Over years and folds", 3, lines),
    ]
    return [section for section in sections if section.cards]


def headline(comparison: Comparison, names: Mapping[int, str], leaderboard: str) -> str:
    """The answer in a line of Markdown: the best job, on which rows, by how much it is ahead.

    Args:
        names: of the runs, by job number.
        leaderboard: the path that the name of the best job links to, since MLflow shades the line
            of links.
    """
    if not comparison.first_block:
        why = f" {comparison.fallback}" if comparison.fallback else ""
        return f"**No job has a score to rank by.**{escaped(why)}"
    best, *others = comparison.first_block
    score = float(str(comparison.score_of(best)))
    without_sample, _, _ = heading(comparison.score).rpartition(" ")
    metric = without_sample.removesuffix(" in") or comparison.score
    name = escaped(names[best.job.number])
    link = f"[{name}]({leaderboard})"
    sample = _sample(comparison)
    answer = f"**Best: {link}, {metric} {number(score)}** {sample}"
    if not others:
        return f"{answer}."
    next_best = others[0]
    next_text = str(comparison.score_of(next_best))
    next_score = float(next_text)
    distance = score - next_score
    gap = abs(distance)
    lead = f"{number(gap, 2)} ahead of the next" if gap else "level with the next"
    return f"{answer}, {lead}.{_difference(comparison)}"


def _difference(comparison: Comparison) -> str:
    """In which settings the finished jobs differ, as a sentence after another; empty for none."""
    keys = [escaped(name) for name in varying(comparison)]
    if not keys:
        return ""
    rest = len(keys) - MOST_KEYS
    shown = keys[:MOST_KEYS]
    if rest > 0:
        more = count(rest, "more key")
        shown.append(more)
    *others, last = shown
    if not others:
        return f" The jobs differ in {last}."
    listed = ", ".join(others)
    return f" The jobs differ in {listed} and {last}."


def _sample(comparison: Comparison) -> str:
    """Which rows the score of the best job is of."""
    best = comparison.first_block[0]
    sample, _, _ = comparison.score.partition("/")
    counted = "oos/n_obs"
    if sample in ("common", "fit", "holdout"):
        counted = f"{sample}/n_obs"
    rows = "its rows"
    if counted in best.metrics:
        n_obs = best.metrics[counted]
        rows = f"{n_obs:,.0f} rows"
    if sample == "fit":
        return f"in sample, on the {rows} it was fitted on"
    if sample == "common":
        jobs = len(comparison.outcomes)
        rows = f"the {rows} that all {jobs} jobs forecast"
    if comparison.cross_validated(best):
        return f"cross-validated on {rows} (training rows include later ones: no forecast)"
    return f"out of sample on {rows}"


def shortened(sentence: str) -> str:
    """The sentence up to the last clause that leaves the links below it in sight.

    The whole one is further down. A colon begins a list, which is left out as a whole: half a list
    of what survives would mislead.
    """
    if len(sentence) <= LONGEST_FIRST:
        return sentence
    start = sentence[:LONGEST_FIRST]
    clause, colon, _ = start.partition(": ")
    if colon:
        return f"{clause} (listed below)."
    clause, pause, _ = start.rpartition("; ")
    if pause:
        return f"{clause} (continued below)."
    whole_words, _, _ = start.rpartition(" ")
    return f"{whole_words} …"


def note(
    answer: str,
    links: Mapping[str, str],
    comparison: Comparison,
    pictures: Sequence[str],
    parent: str,
    words: Sequence[str],
) -> str:
    """The description of the parent run: answer, links, leaderboard, curves, what one must know.

    Args:
        answer: the first line, in Markdown.
        links: paths by what they are called.
        pictures: paths of specification curves below the artifacts of the run with the id `parent`.
        words: what survives, and what one must know before comparing.
    """
    parts = [answer.rstrip(), linked(links), table(comparison)]
    for path in pictures:
        address = f"get-artifact?path={quote(path)}&run_uuid={parent}"
        picture = f"![specification curve]({address})"
        parts.append(picture)
    items = [f"- {escaped(line)}" for line in words if line]
    list_of_items = "\n".join(items)
    parts.append(list_of_items)
    return "\n\n".join(part for part in parts if part)


def links(experiment: str, parent: str, sweep: str, views: Mapping[str, View]) -> dict[str, str]:
    """Paths that preview the saved views of a sweep and open its report, by what they are called.

    Args:
        parent: the id of its parent run.
        sweep: its own id.
    """
    ways: dict[str, tuple[str, Mode]] = {
        LEADERBOARD: (FIRST, "TABLE"),
        "Charts": (CHARTS, "CHART"),
        "Regression table": (TABLE, "TABLE"),
        "Coefficients side by side": (TABLE, "ARTIFACT"),
        "By group": (GROUPS, "TABLE"),
    }
    paths = {}
    for label, (kind, mode) in ways.items():
        if kind in views:
            key = f"{sweep}-{kind}"
            paths[label] = view.shared_path(experiment, key, mode)
    report = _report(experiment, parent)
    return paths | report


def plain_links(experiment: str, parent: str, facets: Mapping[str, Any]) -> dict[str, str]:
    """Paths for a sweep without saved views: its jobs by filter and order, and its report."""
    leaderboard = view.facets_path(experiment, facets)
    report = _report(experiment, parent)
    return {LEADERBOARD: leaderboard} | report


def _report(experiment: str, parent: str) -> dict[str, str]:
    """The path of the report among the artifacts of the parent run."""
    path = view.artifact_path(experiment, parent, "report.html")
    return {"Report": path}


def linked(links: Mapping[str, str]) -> str:
    """The line of links of a description."""
    in_markdown = [f"[{label}]({path})" for label, path in links.items()]
    return " · ".join(in_markdown)


def relinked(description: str, links: Mapping[str, str], more: str = "") -> str:
    """The description with these links in place of its own; as it is where a person took them away.

    Args:
        more: Markdown after the links.
    """
    pattern = rf"^\[{LEADERBOARD}\]\((#/[^)]*)\).*$"
    line = re.search(pattern, description, flags=re.MULTILINE)
    if line is None:
        return description
    links_text = linked(links)
    line_of_links = f"{links_text}{more}"
    fresh = description.replace(line[0], line_of_links)
    old_path = f"]({line[1]})"
    new_path = f"]({links[LEADERBOARD]})"
    return fresh.replace(old_path, new_path)


def again(sweep: str) -> str:
    """How the saved views of an older sweep come back, in Markdown."""
    name = shlex.quote(sweep)
    return escaped(f" · columns and charts again: python -m runner ui --sweep {name}")


def table(comparison: Comparison) -> str:
    """The first jobs of the leaderboard, in Markdown."""
    board = comparison.leaderboard.head(BEST)
    if board.empty:
        return ""
    heads = [escaped(heading(str(name))) for name in board]
    columns = len(heads)
    rule = ["---"] * columns
    rows = [heads, rule]
    for row in board.to_dict("records"):
        cells = [_cell(str(name), value) for name, value in row.items()]
        rows.append(cells)
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    jobs = len(comparison.leaderboard)
    more = jobs - BEST
    if more > 0:
        lines.append(f"\n{count(more, 'more job')} in leaderboard.csv.")
    return "\n".join(lines)


def _cell(name: str, value: Any) -> str:
    """A value of the leaderboard in Markdown."""
    if isinstance(value, float):
        return score_text(name, value)
    text = str(value)
    if text == "<NA>":
        return "–"
    return escaped(text)


def with_newest(description: str, link: str) -> str:
    """The description of an experiment with this first line instead of an older one.

    What a person wrote stays.
    """
    rest = f"\n{description}"
    if description.startswith(NEWEST):
        parts = description.partition("\n")
        rest = parts[2]
    return f"{NEWEST}{link}\n{rest}".rstrip()

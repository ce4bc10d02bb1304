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
from runner.sinks.view import Mode, Section, View
from runner.sweeps.telling.standings import (
    coefficient_heading,
    evidence,
    heading,
    score_text,
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


def order_of(found: Comparison) -> tuple[str, bool]:
    """The column that orders the jobs, and whether it rises.

    Ordered by a metric that no run has, MLflow would show the newest first in silence.
    """
    return view.RANKED if found.outcomes else view.NEWEST


def facets(found: Comparison, tags: Mapping[str, str]) -> dict[str, Any]:
    """Filter and order of the jobs of the sweep: what a link can say to any MLflow."""
    return View("", [], view.where(tags), order_of(found)).facets


def views(
    found: Comparison,
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
        order=order_of(found),
        sections=_sections(found, set(names)),
        removed=sorted(names),
        letters=_widths(found, places),
    )

    def named(name: str, columns: Sequence[str], group_by: str = "") -> View:
        title = f"{day} {found.plan.name}: {name}"
        return replace(shared, name=title, columns=columns, group_by=group_by)

    params = [view.param(name) for name in found.params]
    scores = [view.tag(heading(name)) for name in evidence(found)]
    terms = [view.tag(view.allowed(coefficient_heading(term))) for term in shown_terms(found)]
    leaking = []
    if any(outcome.about.get("leaks") for outcome in found.outcomes):
        leaking.append(view.tag("leaking"))
    saved = {
        FIRST: named("leaderboard", [*params, *leaking, *scores, *terms]),
        TABLE: named("regression table", [*params, *terms, *scores[:2], view.tag("errors")]),
        CHARTS: named("charts", [*params, *scores]),
    }
    groups = [name for name in found.params if name in CHOSEN] or found.params
    if groups:
        numbers = [view.metric(name) for name in evidence(found)]
        saved[GROUPS] = named(f"by {groups[0]}", [*numbers, *params], groups[0])
    return saved


def _widths(found: Comparison, places: Sequence[Standing]) -> dict[str, int]:
    """Letters of the longest text of each column that shows settings or texts of the jobs."""
    widths = {}
    for name, key in found.names.items():
        widths[view.param(key)] = _longest(found.choices[name].astype(str))
    texts: dict[str, list[str]] = {}
    for standing in places:
        for name, text in standing.tags.items():
            texts.setdefault(name, []).append(text)
    for name, values in texts.items():
        widths[view.tag(view.allowed(name))] = _longest(values)
    return widths


def _longest(texts: Iterable[str]) -> int:
    """Letters of the longest text."""
    return max(map(len, texts), default=0)


def newest_view(runs: Sequence[Any]) -> View:
    """The view of the newest runs, whatever they belong to: options, scores, fit, coefficients."""
    widths = {}
    for name in CHOSEN:
        values = [run.data.params[name] for run in runs if name in run.data.params]
        if values:
            widths[view.param(name)] = _longest(values)
    metrics = [view.metric(name) for name in _columns(runs)] if runs else []
    return View("Newest runs", [*widths, *metrics], letters=widths)


def _columns(runs: Sequence[Any]) -> list[str]:
    """Metrics worth a column: scores and fit, then coefficients of the run with most of them."""
    present: set[str] = set()
    terms: list[str] = []
    for run in runs:
        present.update(run.data.metrics)
        own = [name for name in run.data.metrics if name.startswith("coef/")]
        if len(own) > len(terms):
            terms = sorted(name.removeprefix("coef/") for name in own)
    wanted = list(SCORES)
    for term in terms:
        wanted += [f"coef/{term}", f"tstat/{term}"]
    return [name for name in wanted if name in present]


def _sections(found: Comparison, metrics: set[str]) -> list[Section]:
    """The charts: the answer, the coefficients, what is over years and folds."""
    score = found.score
    answer = []
    if score:
        answer.append(view.bar(score))
        if score != "fit/r2" and "fit/r2" in metrics:
            answer.append(view.scatter("fit/r2", score))
        axes = [key for key in varying(found).values() if key in found.params]
        if axes:
            answer.append(view.parallel(axes, [score]))
    terms = [term for term in shown_terms(found) if term != "const"]
    names = [view.allowed(f"coef/{term}") for term in terms]
    bars = [view.bar(name) for name in names if name in metrics]
    lines = [view.line(name) for name in sorted(metrics) if name.startswith(SERIES)]
    sections = [
        Section("Answer", 3, answer),
        Section("Coefficients", 3, bars[:MOST_CARDS]),
        Section("Over years and folds", 3, lines),
    ]
    return [section for section in sections if section.cards]


def headline(found: Comparison, names: Mapping[int, str], leaderboard: str) -> str:
    """The answer in a line of Markdown: the best job, on which rows, by how much it is ahead.

    Args:
        names: of the runs, by job number.
        leaderboard: the path that the name of the best job links to, since MLflow shades the line
            of links.
    """
    if not found.first_block:
        why = f" {found.fallback}" if found.fallback else ""
        return f"**No job has a score to rank by.**{escaped(why)}"
    best = found.first_block[0]
    score = float(str(found.score_of(best)))
    metric = heading(found.score).rpartition(" ")[0].removesuffix(" in") or found.score
    name = f"[{escaped(names[best.job.number])}]({leaderboard})"
    answer = f"**Best: {name}, {metric} {number(score)}** {_sample(found)}"
    if len(found.first_block) < 2:
        return f"{answer}."
    next_score = float(str(found.score_of(found.first_block[1])))
    gap = abs(score - next_score)
    lead = f"{number(gap, 2)} ahead of the next" if gap else "level with the next"
    return f"{answer}, {lead}.{_difference(found)}"


def _difference(found: Comparison) -> str:
    """In which settings the finished jobs differ, as a sentence after another; empty for none."""
    keys = [escaped(name) for name in varying(found)]
    if not keys:
        return ""
    rest = len(keys) - MOST_KEYS
    shown = keys[:MOST_KEYS]
    if rest > 0:
        shown.append(count(rest, "more key"))
    *others, last = shown
    if not others:
        return f" The jobs differ in {last}."
    return f" The jobs differ in {', '.join(others)} and {last}."


def _sample(found: Comparison) -> str:
    """Which rows the score of the best job is of."""
    best = found.first_block[0]
    sample = found.score.partition("/")[0]
    counted = f"{sample}/n_obs" if sample in ("common", "fit", "holdout") else "oos/n_obs"
    rows = "its rows"
    if counted in best.metrics:
        rows = f"{best.metrics[counted]:,.0f} rows"
    if sample == "fit":
        return f"in sample, on the {rows} it was fitted on"
    if sample == "common":
        rows = f"the {rows} that all {len(found.outcomes)} jobs forecast"
    if found.cross_validated(best):
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
    return f"{start.rpartition(' ')[0]} …"


def note(
    answer: str,
    links: Mapping[str, str],
    found: Comparison,
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
    parts = [answer.rstrip(), linked(links), table(found)]
    for path in pictures:
        address = f"get-artifact?path={quote(path)}&run_uuid={parent}"
        parts.append(f"![specification curve]({address})")
    items = [f"- {escaped(line)}" for line in words if line]
    parts.append("\n".join(items))
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
            paths[label] = view.shared_path(experiment, f"{sweep}-{kind}", mode)
    return {**paths, **_report(experiment, parent)}


def plain_links(experiment: str, parent: str, facets: Mapping[str, Any]) -> dict[str, str]:
    """Paths for a sweep without saved views: its jobs by filter and order, and its report."""
    return {LEADERBOARD: view.facets_path(experiment, facets), **_report(experiment, parent)}


def _report(experiment: str, parent: str) -> dict[str, str]:
    return {"Report": view.artifact_path(experiment, parent, "report.html")}


def linked(links: Mapping[str, str]) -> str:
    """The line of links of a description."""
    return " · ".join(f"[{label}]({path})" for label, path in links.items())


def relinked(description: str, links: Mapping[str, str], more: str = "") -> str:
    """The description with these links in place of its own; as it is where a person took them away.

    Args:
        more: Markdown after the links.
    """
    line = re.search(rf"^\[{LEADERBOARD}\]\((#/[^)]*)\).*$", description, flags=re.MULTILINE)
    if line is None:
        return description
    fresh = description.replace(line[0], f"{linked(links)}{more}")
    return fresh.replace(f"]({line[1]})", f"]({links[LEADERBOARD]})")


def again(sweep: str) -> str:
    """How the saved views of an older sweep come back, in Markdown."""
    return escaped(f" · columns and charts again: python -m runner ui --sweep {shlex.quote(sweep)}")


def table(found: Comparison) -> str:
    """The first jobs of the leaderboard, in Markdown."""
    board = found.leaderboard.head(BEST)
    if board.empty:
        return ""
    heads = [escaped(heading(str(name))) for name in board]
    rows = [heads, ["---"] * len(heads)]
    for row in board.to_dict("records"):
        rows.append([_cell(str(name), value) for name, value in row.items()])
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    more = len(found.leaderboard) - BEST
    if more > 0:
        lines.append(f"\n{count(more, 'more job')} in leaderboard.csv.")
    return "\n".join(lines)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        return score_text(name, value)
    return escaped("–" if str(value) == "<NA>" else str(value))


def escaped(text: str) -> str:
    """The text as Markdown that says the same and is no markup, link or picture."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
    return re.sub(r"([\\`*_{}\[\]()#!|~])", r"\\\1", plain)


def with_newest(description: str, link: str) -> str:
    """The description of an experiment with this first line instead of an older one.

    What a person wrote stays.
    """
    rest = f"\n{description}"
    if description.startswith(NEWEST):
        rest = description.partition("\n")[2]
    return f"{NEWEST}{link}\n{rest}".rstrip()

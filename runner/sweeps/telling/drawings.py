"""Pictures of a sweep: what an estimate or a score is under each choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    WIDTH,
    axes_at,
    figure_of,
    shortened,
    zero_line,
)
from runner.sweeps.comparison.texts import value_texts
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

MOST_POINTS = 60  # jobs drawn as points with bars; more as points in a band
MOST_NUMBERED = 30  # jobs named below the axis
MOST_VALUES = (
    10  # rows of a key; numbers with more get a scale, texts with more a last row for the rest
)
MOST_ROWS = 40  # jobs with a row of their own
MOST_LABELLED = 24  # cells of a heat map along one side that have numbers in them
ROW, SCALE = 0.185, 0.75  # inches of a row of dots, and of a scale


def specification_curve(
    table: pd.DataFrame, term: str, values: Mapping[str, Sequence[Any]], jobs: int, best: int | None
) -> Any:
    """Estimates of a term in all jobs that have it, by size, above the choices that each job made.

    Args:
        table: job, estimate, ci_low, ci_high, p_value and a column per key, sorted by estimate.
        values: of each key in the order to show them.
        jobs: that are finished, with the term or without.
        best: the job with the best score.
    """
    have = "" if len(table) == jobs else f" ({jobs - len(table)} of {jobs} do not have it)"
    marks = "filled: p < 0.05, open: not, or untested; ring: best score; below: choices"
    note = f"{count(len(table), 'job')} by estimate{have}; {marks}"
    panels = [_Panel(name, table[name].tolist(), list(order)) for name, order in values.items()]
    below = sum(panel.height + 0.36 for panel in panels)
    figure = figure_of(4.05 + below, f"Specification curve of {shortened(term, 60)}", note)
    left = 0.45 + 0.075 * max([10, *(len(label) for panel in panels for label in panel.labels)])
    axes = axes_at(figure, left, 0.75, WIDTH - left - 0.2, 2.6)
    _curve(axes, table, best)
    top = 4.05
    for panel in panels:
        panel.draw(axes_at(figure, left, top, WIDTH - left - 0.2, panel.height), len(table))
        top += panel.height + 0.36
    return figure


def _curve(axes: Any, table: pd.DataFrame, best: int | None) -> None:
    at = np.arange(1, len(table) + 1)
    low, high, estimate = (
        table[name].to_numpy(dtype=float) for name in ("ci_low", "ci_high", "estimate")
    )
    filled = np.where(table["p_value"] < 0.05, BLUE, "white")
    if len(table) > MOST_POINTS:
        axes.fill_between(at, low, high, color=BLUE, alpha=0.22, linewidth=0, step="mid")
        axes.scatter(at, estimate, s=9, c=filled, edgecolors=BLUE, linewidths=0.7, zorder=3)
    else:
        axes.vlines(at, low, high, color=BLUE, linewidth=1.4)
        axes.scatter(at, estimate, s=24, c=filled, edgecolors=BLUE, linewidths=1.2, zorder=3)
    ring = (table["job"] == best).to_numpy()
    axes.scatter(
        at[ring],
        estimate[ring],
        s=90,
        facecolors="none",
        edgecolors=ORANGE,
        linewidths=1.6,
        zorder=4,
    )
    zero_line(axes.axhline, axes.get_ylim())
    axes.set_xlim(0.3, len(table) + 0.7)
    _jobs(axes, table)
    axes.set_ylabel("estimate and its interval")


def _jobs(axes: Any, table: pd.DataFrame) -> None:
    """Few jobs by their numbers, many by their place."""
    n = len(table)
    if n <= MOST_NUMBERED:
        axes.set_xticks(range(1, n + 1), [str(job) for job in table["job"]])
        axes.set_xlabel("number of the job, sorted by estimate")
    else:
        axes.set_xlabel("place among the jobs, sorted by estimate")


class _Panel:
    """The values of one key under the curve: a row per value, or a scale where it has many
    numbers.
    """

    def __init__(self, key: str, values: list[Any], order: list[Any]) -> None:
        self.key, self.values = key, values
        every = [value for value in order if value in values]
        self.scaled = len(every) > MOST_VALUES and not any(
            isinstance(value, str) for value in every
        )
        often = sorted(every, key=lambda one: (-values.count(one), every.index(one)))[
            : MOST_VALUES - 1
        ]
        self.rows = every if len(every) <= MOST_VALUES else [one for one in every if one in often]
        rest = len(every) - len(self.rows)
        named = value_texts(self.rows, 30) + ([f"{rest} other values"] if rest else [])
        self.labels = [] if self.scaled else named
        self.height = SCALE if self.scaled else ROW * len(self.labels)

    def draw(self, axes: Any, jobs: int) -> None:
        at = np.arange(1, jobs + 1)
        size = 22 if jobs <= MOST_POINTS else 7
        axes.set_title(shortened(self.key, 50), fontsize=9.0, weight="bold", pad=3)
        if self.scaled:
            values = np.array(self.values, dtype=float)
            axes.scatter(at, values, s=size, color=BLUE, linewidths=0)
            if _wide(values):
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter(_plain)
                axes.minorticks_off()
        else:
            place = {repr(one): -i for i, one in enumerate(self.rows)}
            down = [place.get(repr(one), -len(self.rows)) for one in self.values]
            axes.scatter(at, down, s=size, color=BLUE, marker="s", linewidths=0)
            axes.set_yticks([-i for i in range(len(self.labels))], self.labels)
            axes.set_ylim(0.6 - len(self.labels), 0.6)
            axes.grid(axis="y", color=PALE, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.set_xlim(0.3, jobs + 0.7)
        axes.set_xticks([])
        axes.tick_params(axis="y", length=0)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)


def _wide(values: np.ndarray) -> bool:
    """Whether numbers span a hundredfold, all above zero."""
    return bool(values.min() > 0 and values.max() >= 100 * values.min())


def _plain(value: float, place: int) -> str:
    return f"{value:g}"


def heat_map(cells: pd.DataFrame, score: str, lower_is_better: bool, averaged: bool) -> Any:
    """The score in each combination of the values of two keys; the best has a frame."""
    order = "smallest" if lower_is_better else "largest"
    mean = "; a cell is the mean over the other keys" if averaged else ""
    crowded = max(cells.shape) > MOST_LABELLED
    empty = (
        "pale: no job with the score; too many cells for numbers"
        if crowded
        else "–: no job with the score"
    )
    note = f"orange frame: the {order}{mean}; {empty}"
    down, across = (value_texts(names, 26) for names in (cells.index, cells.columns))
    left = 0.5 + 0.078 * max([len(one) for one in down], default=4)
    long = (
        max([len(one) for one in across], default=4)
        > 0.9 * (WIDTH - left - 1.4) / cells.shape[1] / 0.078
    )
    below = 0.55 + (0.055 * max(map(len, across)) + 0.1 if long else 0.1)
    tall = max(1.0, min(0.32, 9.0 / len(cells)) * len(cells))
    title = f"{score} by {shortened(cells.index.name, 40)} and {shortened(cells.columns.name, 40)}"
    figure = figure_of(0.8 + tall + below, title, note)
    axes = axes_at(figure, left, 0.75, WIDTH - left - 1.4, tall)
    values = cells.to_numpy(dtype=float)
    image = axes.imshow(values, cmap="cividis", aspect="auto", interpolation="nearest")
    axes.set_facecolor("#EEEEEE")
    _ticks(axes.set_yticks, down, 40)
    _ticks(axes.set_xticks, across, 40, **({"rotation": 40, "ha": "right"} if long else {}))
    axes.tick_params(length=0)
    axes.set(ylabel=shortened(cells.index.name, 40), xlabel=shortened(cells.columns.name, 60))
    if not crowded:
        _numbers(axes, image, values)
    _frame_best(axes, values, lower_is_better)
    bar = figure.colorbar(image, cax=axes_at(figure, WIDTH - 1.25, 0.75, 0.14, tall))
    bar.outline.set_visible(False)
    return figure


def _ticks(put: Any, labels: Sequence[str], most: int, **style: Any) -> None:
    """Labels at their places, every so many where they are too many."""
    step = -(-len(labels) // most)
    put(range(0, len(labels), step), labels[::step], **style)


def _numbers(axes: Any, image: Any, values: np.ndarray) -> None:
    """The number in each cell, light on dark and dark on light."""
    size = 8.5 if values.shape[1] <= 12 else 6.5
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        light = np.isfinite(value) and image.norm(value) < 0.5
        style = {
            "color": "white" if light else INK,
            "ha": "center",
            "va": "center",
            "fontsize": size,
        }
        axes.text(column, row, number(float(value)), **style)


def _frame_best(axes: Any, values: np.ndarray, lower_is_better: bool) -> None:
    if np.isfinite(values).any():
        best = np.nanmin(values) if lower_is_better else np.nanmax(values)
        for row, column in np.argwhere(values == best):
            x, y = (
                column + 0.5 * np.array([-1, 1, 1, -1, -1]),
                row + 0.5 * np.array([-1, -1, 1, 1, -1]),
            )
            axes.plot(x, y, color=ORANGE, linewidth=2.4, zorder=4, clip_on=False)


def score_by(table: pd.DataFrame, key: str, score: str, best: int | None) -> Any:
    """The score of each job by the one key that differs, with its naive baseline where it has
    one.
    """
    table = table[table[score].notna()]
    numeric = all(not isinstance(value, str) for value in table[key])
    naive = f"{score}_naive" if f"{score}_naive" in table else None
    first = f"best {MOST_ROWS} of " if not numeric and len(table) > MOST_ROWS else ""
    note = f"{first}{count(len(table), 'job')}; ring: the best{'; grey: the naive baseline' if naive else ''}"
    table = table if numeric else table.head(MOST_ROWS)
    tall = 3.0 if numeric else max(1.0, 0.24 * len(table))
    figure = figure_of(1.45 + tall, f"{score} by {shortened(key, 60)}", note)
    ring = (table["job"] == best).to_numpy()
    draw = _along if numeric else _rows
    draw(figure, table, key, score, naive, ring)
    return figure


def _along(
    figure: Any, table: pd.DataFrame, key: str, score: str, naive: str | None, ring: np.ndarray
) -> None:
    """Numbers along the axis; on a logarithmic one where they span a hundredfold."""
    axes = axes_at(figure, 0.95, 0.75, WIDTH - 1.2, 3.0)
    at = table[key].to_numpy(dtype=float)
    order = np.argsort(at, kind="stable")
    values = table[score].to_numpy(dtype=float)
    axes.plot(at[order], values[order], "o-", color=BLUE, markersize=4.5, linewidth=1.2)
    axes.scatter(
        at[ring],
        values[ring],
        s=100,
        facecolors="none",
        edgecolors=ORANGE,
        linewidths=1.8,
        zorder=4,
    )
    if naive:
        axes.plot(at[order], table[naive].to_numpy(dtype=float)[order], color=GREY, linewidth=1.1)
    if _wide(at):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_plain)
        axes.minorticks_off()
    axes.set(xlabel=shortened(key, 60), ylabel=score)


def _rows(
    figure: Any, table: pd.DataFrame, key: str, score: str, naive: str | None, ring: np.ndarray
) -> None:
    """A row per job, in the order of the leaderboard."""
    labels = value_texts(table[key], 40)
    left = 0.4 + 0.075 * max(map(len, labels))
    axes = axes_at(figure, left, 0.75, WIDTH - left - 0.25, max(1.0, 0.24 * len(table)))
    at, values = -np.arange(len(table), dtype=float), table[score].to_numpy(dtype=float)
    axes.scatter(values, at, s=30, color=BLUE, zorder=3)
    axes.scatter(
        values[ring],
        at[ring],
        s=110,
        facecolors="none",
        edgecolors=ORANGE,
        linewidths=1.8,
        zorder=4,
    )
    if naive:
        axes.scatter(table[naive], at, s=60, color=GREY, marker="|", linewidths=1.8, zorder=2)
    zero_line(axes.axvline, axes.get_xlim())
    axes.set_yticks(at, labels)
    axes.set_ylim(at[-1] - 0.6, 0.6)
    axes.grid(axis="y", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(score)

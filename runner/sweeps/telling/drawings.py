"""Pictures of a sweep: what an estimate or a score is under each choice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BLUE,
    GREY,
    INK,
    LETTER,
    ORANGE,
    PALE,
    WIDTH,
    axes_at,
    figure_of,
    longest,
    shortened,
    zero_line,
)
from runner.sweeps.comparison.texts import value_texts
from runner.text import LEVEL, count, number

if TYPE_CHECKING:
    import pandas as pd

MOST_POINTS = 60  # jobs drawn as points with bars; more as points in a band
MOST_NUMBERED = 30  # jobs named below the axis
# rows of a key; numbers with more get a scale, texts with more a last row for the rest
MOST_VALUES = 10
MOST_ROWS = 40  # jobs with a row of their own
MOST_LABELLED = 24  # cells of a heat map along one side that have numbers in them
MOST_TICKS = 40  # values of a key named along one side of a heat map
ROW = 0.185  # inches of a row of dots
SCALE = 0.75  # inches of a scale
HEAD = 0.36  # inches above the rows of a key
SMALL_LETTER = 0.075  # inches of a letter of a label of a choice


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
    note = f"{count(len(table), 'job')} by estimate"
    if len(table) != jobs:
        note += f" ({jobs - len(table)} of {jobs} do not have it)"
    note += "; filled: p < 0.05, open: not, or untested; ring: best score; below: choices"
    panels = [_Panel(name, table[name].tolist(), list(order)) for name, order in values.items()]
    below = sum(panel.height + HEAD for panel in panels)
    figure = figure_of(4.05 + below, f"Specification curve of {shortened(term, 60)}", note)
    left = 0.45 + SMALL_LETTER * max([10, *(panel.longest for panel in panels)])
    wide = WIDTH - left - 0.2
    _curve(axes_at(figure, left, 0.75, wide, 2.6), table, best)
    top = 4.05
    for panel in panels:
        panel.draw(axes_at(figure, left, top, wide, panel.height), len(table))
        top += panel.height + HEAD
    return figure


def _curve(axes: Any, table: pd.DataFrame, best: int | None) -> None:
    """The estimates with their intervals, and a ring around that of the best job."""
    at = np.arange(1, len(table) + 1)
    low = table["ci_low"].to_numpy(dtype=float)
    high = table["ci_high"].to_numpy(dtype=float)
    estimates = table["estimate"].to_numpy(dtype=float)
    fills = np.where(table["p_value"] < LEVEL, BLUE, "white")
    if len(table) > MOST_POINTS:
        axes.fill_between(at, low, high, color=BLUE, alpha=0.22, linewidth=0, step="mid")
        axes.scatter(at, estimates, s=9, c=fills, edgecolors=BLUE, linewidths=0.7, zorder=3)
    else:
        axes.vlines(at, low, high, color=BLUE, linewidth=1.4)
        axes.scatter(at, estimates, s=24, c=fills, edgecolors=BLUE, linewidths=1.2, zorder=3)
    ring = (table["job"] == best).to_numpy()
    _ring(axes, at[ring], estimates[ring], s=90, linewidths=1.6)
    zero_line(axes, "y")
    axes.set_xlim(0.3, len(table) + 0.7)
    _jobs(axes, table)
    axes.set_ylabel("estimate and its interval")


def _ring(axes: Any, x: np.ndarray, y: np.ndarray, **look: Any) -> None:
    """A ring around the best job."""
    axes.scatter(x, y, facecolors="none", edgecolors=ORANGE, zorder=4, **look)


def _jobs(axes: Any, table: pd.DataFrame) -> None:
    """Few jobs by their numbers, many by their place."""
    n = len(table)
    if n <= MOST_NUMBERED:
        axes.set_xticks(range(1, n + 1), [str(job) for job in table["job"]])
        axes.set_xlabel("number of the job, sorted by estimate")
    else:
        axes.set_xlabel("place among the jobs, sorted by estimate")


class _Panel:
    """The values of one key under the curve: rows of values, or a scale of many numbers."""

    def __init__(self, key: str, values: list[Any], order: list[Any]) -> None:
        self.key = key
        self.values = values
        every = [value for value in order if value in values]
        texts = any(isinstance(value, str) for value in every)
        self.scaled = len(every) > MOST_VALUES and not texts
        self.rows: list[Any] = []
        self.labels: list[str] = []
        self.height = SCALE
        if not self.scaled:
            self.rows = _most_frequent(every, values)
            self.labels = value_texts(self.rows, 30)
            rest = len(every) - len(self.rows)
            if rest:
                self.labels.append(f"{rest} other values")
            self.height = ROW * len(self.labels)

    @property
    def longest(self) -> int:
        """Letters of the longest label."""
        return longest(self.labels)

    def draw(self, axes: Any, jobs: int) -> None:
        """A dot per job, in the order of the curve."""
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
            heights = {repr(value): -row for row, value in enumerate(self.rows)}
            last = -len(self.rows)
            down = [heights.get(repr(value), last) for value in self.values]
            axes.scatter(at, down, s=size, color=BLUE, marker="s", linewidths=0)
            axes.set_yticks([-row for row in range(len(self.labels))], self.labels)
            axes.set_ylim(0.6 - len(self.labels), 0.6)
            axes.grid(axis="y", color=PALE, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.set_xlim(0.3, jobs + 0.7)
        axes.set_xticks([])
        axes.tick_params(axis="y", length=0)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)


def _most_frequent(every: list[Any], values: list[Any]) -> list[Any]:
    """The values that have a row of their own, in their order."""
    if len(every) <= MOST_VALUES:
        return every

    def rarity(value: Any) -> tuple[int, int]:
        return -values.count(value), every.index(value)

    often = sorted(every, key=rarity)[: MOST_VALUES - 1]
    return [value for value in every if value in often]


def _wide(values: np.ndarray) -> bool:
    """Whether numbers span a hundredfold, all above zero."""
    return bool(values.min() > 0 and values.max() >= 100 * values.min())


def _plain(value: float, place: int) -> str:
    """A number at a tick."""
    return f"{value:g}"


def heat_map(cells: pd.DataFrame, score: str, lower_is_better: bool, averaged: bool) -> Any:
    """The score in each combination of the values of two keys; the best has a frame."""
    order = "smallest" if lower_is_better else "largest"
    crowded = max(cells.shape) > MOST_LABELLED
    note = f"orange frame: the {order}"
    if averaged:
        note += "; a cell is the mean over the other keys"
    if crowded:
        note += "; pale: no job with the score; too many cells for numbers"
    else:
        note += "; –: no job with the score"
    down = value_texts(cells.index, 26)
    across = value_texts(cells.columns, 26)
    left = 0.5 + LETTER * longest(down)
    wide = WIDTH - left - 1.4
    slanted = longest(across) > 0.9 * wide / cells.shape[1] / LETTER
    below = 0.55 + 0.1
    if slanted:
        below = 0.55 + (0.055 * longest(across) + 0.1)
    tall = max(1.0, min(0.32, 9.0 / len(cells)) * len(cells))
    title = f"{score} by {shortened(cells.index.name, 40)} and {shortened(cells.columns.name, 40)}"
    figure = figure_of(0.8 + tall + below, title, note)
    axes = axes_at(figure, left, 0.75, wide, tall)
    values = cells.to_numpy(dtype=float)
    image = axes.imshow(values, cmap="cividis", aspect="auto", interpolation="nearest")
    axes.set_facecolor("#EEEEEE")
    _ticks(axes.set_yticks, down)
    if slanted:
        _ticks(axes.set_xticks, across, rotation=40, ha="right")
    else:
        _ticks(axes.set_xticks, across)
    axes.tick_params(length=0)
    axes.set(ylabel=shortened(cells.index.name, 40), xlabel=shortened(cells.columns.name, 60))
    if not crowded:
        _numbers(axes, image, values)
    _frame_best(axes, values, lower_is_better)
    bar = figure.colorbar(image, cax=axes_at(figure, WIDTH - 1.25, 0.75, 0.14, tall))
    bar.outline.set_visible(False)
    return figure


def _ticks(put: Any, labels: Sequence[str], **style: Any) -> None:
    """Labels at their places, every so many where they are too many."""
    step = math.ceil(len(labels) / MOST_TICKS)
    put(range(0, len(labels), step), labels[::step], **style)


def _numbers(axes: Any, image: Any, values: np.ndarray) -> None:
    """The number in each cell, light on dark and dark on light."""
    size = 8.5 if values.shape[1] <= 12 else 6.5
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        dark = np.isfinite(value) and image.norm(value) < 0.5
        centred: Any = {"ha": "center", "va": "center", "fontsize": size}
        axes.text(column, row, number(float(value)), color="white" if dark else INK, **centred)


def _frame_best(axes: Any, values: np.ndarray, lower_is_better: bool) -> None:
    """A frame around the cells with the best score."""
    if not np.isfinite(values).any():
        return
    best = np.nanmin(values) if lower_is_better else np.nanmax(values)
    for row, column in np.argwhere(values == best):
        x = column + 0.5 * np.array([-1, 1, 1, -1, -1])
        y = row + 0.5 * np.array([-1, -1, 1, 1, -1])
        axes.plot(x, y, color=ORANGE, linewidth=2.4, zorder=4, clip_on=False)


def score_by(table: pd.DataFrame, key: str, score: str, best: int | None) -> Any:
    """The score of each job by the one key that differs, with its naive baseline if it has one."""
    table = table[table[score].notna()]
    numeric = not any(isinstance(value, str) for value in table[key])
    naive = f"{score}_naive" if f"{score}_naive" in table else None
    note = f"{count(len(table), 'job')}; ring: the best"
    if not numeric and len(table) > MOST_ROWS:
        note = f"best {MOST_ROWS} of {note}"
        table = table.head(MOST_ROWS)
    if naive:
        note += "; grey: the naive baseline"
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
    _ring(axes, at[ring], values[ring], s=100, linewidths=1.8)
    if naive:
        baseline = table[naive].to_numpy(dtype=float)
        axes.plot(at[order], baseline[order], color=GREY, linewidth=1.1)
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
    left = 0.4 + SMALL_LETTER * longest(labels)
    axes = axes_at(figure, left, 0.75, WIDTH - left - 0.25, max(1.0, 0.24 * len(table)))
    at = -np.arange(len(table), dtype=float)
    values = table[score].to_numpy(dtype=float)
    axes.scatter(values, at, s=30, color=BLUE, zorder=3)
    _ring(axes, values[ring], at[ring], s=110, linewidths=1.8)
    if naive:
        axes.scatter(table[naive], at, s=60, color=GREY, marker="|", linewidths=1.8, zorder=2)
    zero_line(axes, "x")
    axes.set_yticks(at, labels)
    axes.set_ylim(at[-1] - 0.6, 0.6)
    axes.grid(axis="y", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(score)

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
from runner.sinks.drawings.hover import estimate_texts, say_along, say_at_points
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
        table: job, estimate, ci_low, ci_high, p_value, judged and a column per key, sorted by
            estimate.
        values: of each key in the order to show them.
        jobs: that are finished, with the term or without.
        best: the job with the best score.
    """
    note = f"{count(len(table), 'job')} by estimate"
    if len(table) != jobs:
        note += f" ({jobs - len(table)} of {jobs} do not have it)"
    note += "; filled: p < 0.05, open: not, or without a verdict"
    note += "; ring: best score; below: choices"
    panels = []
    for name, order in values.items():
        choices = table[name].tolist()
        panels.append(_Panel(name, choices, list(order)))
    below = sum(panel.height + HEAD for panel in panels)
    term_text = shortened(term, 60)
    title = f"Specification curve of {term_text}"
    figure = figure_of(4.05 + below, title, note)
    letters = max([10, *(panel.longest for panel in panels)])
    width_of_letters = SMALL_LETTER * letters
    left = 0.45 + width_of_letters
    right_of_labels = WIDTH - left
    width = right_of_labels - 0.2
    axes = axes_at(figure, left, 0.75, width, 2.6)
    _curve(axes, table, best)
    top = 4.05
    for panel in panels:
        axes = axes_at(figure, left, top, width, panel.height)
        panel.draw(axes, len(table))
        height = panel.height + HEAD
        top += height
    return figure


def _curve(axes: Any, table: pd.DataFrame, best: int | None) -> None:
    """The estimates with their intervals, and a ring around that of the best job."""
    jobs = len(table)
    after_last = jobs + 1
    positions = np.arange(1, after_last)
    low = table["ci_low"].to_numpy(dtype=float)
    high = table["ci_high"].to_numpy(dtype=float)
    estimates = table["estimate"].to_numpy(dtype=float)
    significant = table["judged"] < LEVEL
    fills = np.where(significant, BLUE, "white")
    points = {"c": fills, "edgecolors": BLUE, "zorder": 3}
    if jobs > MOST_POINTS:
        band = {"color": BLUE, "alpha": 0.22, "linewidth": 0}
        axes.fill_between(positions, low, high, step="mid", **band)
        axes.scatter(positions, estimates, s=9, linewidths=0.7, **points)
    else:
        axes.vlines(positions, low, high, color=BLUE, linewidth=1.4)
        axes.scatter(positions, estimates, s=24, linewidths=1.2, **points)
    is_best = (table["job"] == best).to_numpy()
    jobs_named = [f"job {job}" for job in table["job"]]
    say_along([axes], positions, estimate_texts(jobs_named, table))
    _ring(axes, positions[is_best], estimates[is_best], s=90, linewidths=1.6)
    zero_line(axes, "y")
    axes.set_xlim(0.3, jobs + 0.7)
    _jobs(axes, table)
    axes.set_ylabel("estimate and its interval")


def _ring(axes: Any, x: np.ndarray, y: np.ndarray, **look: Any) -> None:
    """A ring around the best job."""
    axes.scatter(x, y, facecolors="none", edgecolors=ORANGE, zorder=4, **look)


def _jobs(axes: Any, table: pd.DataFrame) -> None:
    """Few jobs by their numbers, many by their position."""
    n = len(table)
    if n <= MOST_NUMBERED:
        numbers = [str(job) for job in table["job"]]
        axes.set_xticks(range(1, n + 1), numbers)
        axes.set_xlabel("number of the job, sorted by estimate")
    else:
        axes.set_xlabel("place among the jobs, sorted by estimate")


class _Panel:
    """The values of one key under the curve: rows of values, or a scale of many numbers."""

    def __init__(self, key: str, values: list[Any], order: list[Any]) -> None:
        self.key = key
        self.values = values
        every = [value for value in order if value in values]
        has_texts = any(isinstance(value, str) for value in every)
        self.scaled = len(every) > MOST_VALUES and not has_texts
        self.rows: list[Any] = []
        self.labels: list[str] = []
        self.height = SCALE
        if self.scaled:
            return
        self.rows = _most_frequent(every, values)
        self.labels = value_texts(self.rows, 30)
        rest = len(every) - len(self.rows)
        if rest:
            rest_text = f"{rest} other values"
            self.labels.append(rest_text)
        number_of_labels = len(self.labels)
        self.height = ROW * number_of_labels

    @property
    def longest(self) -> int:
        """Letters of the longest label."""
        return longest(self.labels)

    def draw(self, axes: Any, jobs: int) -> None:
        """A dot per job, in the order of the curve."""
        after_last = jobs + 1
        positions = np.arange(1, after_last)
        size = 22 if jobs <= MOST_POINTS else 7
        title = shortened(self.key, 50)
        axes.set_title(title, fontsize=9.0, weight="bold", pad=3)
        if self.scaled:
            self._draw_scale(axes, positions, size)
        else:
            self._draw_rows(axes, positions, size)
        axes.set_axisbelow(True)
        axes.set_xlim(0.3, jobs + 0.7)
        axes.set_xticks([])
        axes.tick_params(axis="y", length=0)
        for side in ("left", "bottom"):
            spine = axes.spines[side]
            spine.set_visible(False)

    def _draw_scale(self, axes: Any, positions: np.ndarray, size: int) -> None:
        """Numbers at their height; on a logarithmic scale where they span a hundredfold."""
        values = np.array(self.values, dtype=float)
        axes.scatter(positions, values, s=size, color=BLUE, linewidths=0)
        if _wide(values):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(_plain)
            axes.minorticks_off()

    def _draw_rows(self, axes: Any, positions: np.ndarray, size: int) -> None:
        """A row per value, the first on top; the last is for the values without a row."""
        row_of = {repr(value): row for row, value in enumerate(self.rows)}
        last = len(self.rows)
        rows = [row_of.get(repr(value), last) for value in self.values]
        positions_of_rows = np.array(rows)
        heights = -positions_of_rows
        axes.scatter(positions, heights, s=size, color=BLUE, marker="s", linewidths=0)
        labels = len(self.labels)
        ranks = np.arange(labels)
        ticks = -ranks
        axes.set_yticks(ticks, self.labels)
        axes.set_ylim(0.6 - labels, 0.6)
        axes.grid(axis="y", color=PALE, linewidth=0.5)


def _most_frequent(every: list[Any], values: list[Any]) -> list[Any]:
    """The values that have a row of their own, in their order."""
    if len(every) <= MOST_VALUES:
        return every

    by_frequency = sorted(every, key=values.count, reverse=True)  # equals stay in their order
    shown_values = MOST_VALUES - 1
    often = by_frequency[:shown_values]
    return [value for value in every if value in often]


def _wide(values: np.ndarray) -> bool:
    """Whether numbers span a hundredfold, all above zero."""
    smallest = values.min()
    largest = values.max()
    return bool(smallest > 0 and largest >= 100 * smallest)


def _plain(value: float, position: int) -> str:
    """A number at a tick, as matplotlib asks for it: with the position of the tick."""
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
    right_of_labels = WIDTH - left
    width = right_of_labels - 1.4
    letters = longest(across)
    slanted = letters > 0.9 * width / cells.shape[1] / LETTER
    below = 0.55 + 0.1
    if slanted:
        room_of_labels = 0.055 * letters + 0.1
        below = 0.55 + room_of_labels
    row_of_even = 9.0 / len(cells)
    row_height = min(0.32, row_of_even)
    height = max(1.0, row_height * len(cells))
    row_key = shortened(cells.index.name, 40)
    column_key = shortened(cells.columns.name, 40)
    title = f"{score} by {row_key} and {column_key}"
    figure = figure_of(0.8 + height + below, title, note)
    axes = axes_at(figure, left, 0.75, width, height)
    values = cells.to_numpy(dtype=float)
    image = axes.imshow(values, cmap="cividis", aspect="auto", interpolation="nearest")
    axes.set_facecolor("#EEEEEE")
    _ticks(axes.set_yticks, down)
    slant = {"rotation": 40, "ha": "right"} if slanted else {}
    _ticks(axes.set_xticks, across, **slant)
    axes.tick_params(length=0)
    axes.set_ylabel(row_key)
    axes.set_xlabel(shortened(cells.columns.name, 60))
    if not crowded:
        _numbers(axes, image, values)
    _frame_best(axes, values, lower_is_better)
    bar_axes = axes_at(figure, WIDTH - 1.25, 0.75, 0.14, height)
    bar = figure.colorbar(image, cax=bar_axes)
    bar.outline.set_visible(False)
    return figure


def _ticks(put: Any, labels: Sequence[str], **style: Any) -> None:
    """Labels at their positions, every so many where they are too many."""
    step = math.ceil(len(labels) / MOST_TICKS)
    number_of_labels = len(labels)
    positions = range(0, number_of_labels, step)
    put(positions, labels[::step], **style)


def _numbers(axes: Any, image: Any, values: np.ndarray) -> None:
    """The number in each cell, light on dark and dark on light."""
    size = 8.5 if values.shape[1] <= 12 else 6.5
    centred: Any = {"ha": "center", "va": "center", "fontsize": size}
    for row, column in np.ndindex(values.shape):
        value = float(values[row, column])
        dark = np.isfinite(value) and image.norm(value) < 0.5
        color = "white" if dark else INK
        axes.text(column, row, number(value), color=color, **centred)


def _frame_best(axes: Any, values: np.ndarray, lower_is_better: bool) -> None:
    """A frame around the cells with the best score."""
    is_finite = np.isfinite(values)
    if not is_finite.any():
        return
    best = np.nanmin(values) if lower_is_better else np.nanmax(values)
    across = np.array([-0.5, 0.5, 0.5, -0.5, -0.5])
    down = np.array([-0.5, -0.5, 0.5, 0.5, -0.5])
    frame: Any = {"color": ORANGE, "linewidth": 2.4, "zorder": 4}
    is_best = values == best
    best_cells = np.argwhere(is_best)
    for row, column in best_cells:
        axes.plot(column + across, row + down, clip_on=False, **frame)


def score_by(table: pd.DataFrame, key: str, score: str, best: int | None) -> Any:
    """The score of each job by the one key that differs, with its naive baseline if it has one."""
    table = table.dropna(subset=score)
    numeric = not any(isinstance(value, str) for value in table[key])
    naive = f"{score}_naive" if f"{score}_naive" in table else None
    jobs = count(len(table), "job")
    note = f"{jobs}; ring: the best"
    if not numeric and len(table) > MOST_ROWS:
        note = f"best {MOST_ROWS} of {note}"
        table = table.head(MOST_ROWS)
    if naive:
        note += "; grey: the naive baseline"
    height = 3.0 if numeric else _height(table)
    key_text = shortened(key, 60)
    title = f"{score} by {key_text}"
    figure = figure_of(1.45 + height, title, note)
    is_best = (table["job"] == best).to_numpy()
    draw = _along if numeric else _rows
    draw(figure, table, key, score, naive, is_best)
    return figure


def _height(table: pd.DataFrame) -> float:
    """Inches of a picture with a row per job."""
    height_of_rows = 0.24 * len(table)
    return max(1.0, height_of_rows)


def _scored(table: pd.DataFrame, key: str, score: str) -> list[str]:
    """Of each job its number, its setting and its score."""
    settings = value_texts(table[key], 40)
    texts = []
    for job, setting, value in zip(table["job"], settings, table[score], strict=True):
        texts.append(f"job {job}, {shortened(key, 30)} {setting}: {number(value)}")
    return texts


def _along(
    figure: Any, table: pd.DataFrame, key: str, score: str, naive: str | None, is_best: np.ndarray
) -> None:
    """Numbers along the axis; on a logarithmic one where they span a hundredfold."""
    axes = axes_at(figure, 0.95, 0.75, WIDTH - 1.2, 3.0)
    settings = table[key].to_numpy(dtype=float)
    scores = table[score].to_numpy(dtype=float)
    order = np.argsort(settings, kind="stable")
    sorted_settings = settings[order]
    axes.plot(sorted_settings, scores[order], "o-", color=BLUE, markersize=4.5, linewidth=1.2)
    _ring(axes, settings[is_best], scores[is_best], s=100, linewidths=1.8)
    say_at_points(axes, settings, scores, _scored(table, key, score))
    if naive:
        baseline = table[naive].to_numpy(dtype=float)
        axes.plot(sorted_settings, baseline[order], color=GREY, linewidth=1.1)
    if _wide(settings):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_plain)
        axes.minorticks_off()
    axes.set(xlabel=shortened(key, 60), ylabel=score)


def _rows(
    figure: Any, table: pd.DataFrame, key: str, score: str, naive: str | None, is_best: np.ndarray
) -> None:
    """A row per job, in the order of the leaderboard."""
    labels = value_texts(table[key], 40)
    left = 0.4 + SMALL_LETTER * longest(labels)
    right_of_labels = WIDTH - left
    width = right_of_labels - 0.25
    axes = axes_at(figure, left, 0.75, width, _height(table))
    heights = -np.arange(len(table), dtype=float)
    scores = table[score].to_numpy(dtype=float)
    axes.scatter(scores, heights, s=30, color=BLUE, zorder=3)
    _ring(axes, scores[is_best], heights[is_best], s=110, linewidths=1.8)
    say_at_points(axes, scores, heights, _scored(table, key, score))
    if naive:
        mark = {"marker": "|", "color": GREY, "linewidths": 1.8}
        axes.scatter(table[naive], heights, s=60, zorder=2, **mark)
    zero_line(axes, "x")
    axes.set_yticks(heights, labels)
    axes.set_ylim(heights[-1] - 0.6, 0.6)
    axes.grid(axis="y", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(score)

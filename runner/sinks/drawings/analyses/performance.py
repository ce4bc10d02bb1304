"""Pictures of fund performance: realised against the CAPM, the style box, and two nested models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.estimators.few_clusters import for_a_verdict
from runner.sinks.canvas import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    axes_across,
    figure_of,
    hide_left_axis,
    labels_of,
    longest,
    shortened,
    zero_line,
)
from runner.sinks.drawings.columns import first_value, floats
from runner.text import LEVEL, count, number, unit_noun

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

MOST_NAMED = 30  # units drawn with their names
NAME_SIZE = 8.5  # of names, in points of the page
NEAR = 10.0  # points of the page that a name may be off its point without a line to it
DOT = 4  # pixels around a point that no name covers
# where a name may stand beside its point, in points of the page: right, left, above, below
SIDES = ((6.0, 0.0), (-6.0, 0.0), (0.0, 9.0), (0.0, -9.0))
CORNERS = ((6.0, 8.0), (-6.0, 8.0), (6.0, -8.0), (-6.0, -8.0))
# and further out
PLACES = [
    (times * x, times * y) for times in (1.0, 2.5, 4.0, 6.0, 8.0) for x, y in (*SIDES, *CORNERS)
]
PERCENT = 100.0


def security_market_line(table: pd.DataFrame) -> Any:
    """Mean excess return realised against the CAPM's beta, with the line that the CAPM implies."""
    rows = table.dropna(subset="alpha")
    if rows.empty:
        return None
    beta = floats(rows, "capm_beta")
    realised_annual = floats(rows, "realised_annual")
    realised = PERCENT * realised_annual
    per_row = rows["premium"].mean()
    premium = PERCENT * float(per_row * _year(rows))
    whose = _of(rows)
    note = f"{whose}; above the line: more than the CAPM implies; beta with the market alone"
    figure = figure_of(4.9, "Realised excess return against the CAPM", note)
    axes = axes_across(figure, 0.8, 3.5, 0.85)
    lowest = beta.min()
    low = min(0.0, lowest)
    highest = beta.max() * 1.06
    high = max(1.1, highest)
    edges = [low, high]
    ends = np.array(edges)
    premium_text = number(premium, 3)
    label = f"CAPM: beta times {premium_text} % a year"
    axes.plot(ends, premium * ends, color=ORANGE, linewidth=1.4, label=label)
    axes.scatter(beta, realised, s=26, color=BLUE, zorder=3)
    zero_line(axes, "y")
    axes.margins(x=0.05, y=0.12)
    axes.set(xlabel="beta (market alone)", ylabel="mean excess return (% a year)")
    axes.legend(frameon=False, loc="upper left")
    _name(axes, beta, realised, rows["unit"])
    return figure


def _year(rows: pd.DataFrame) -> float:
    """Rows of a year, as the table has them."""
    return float((rows["realised_annual"] / rows["realised"]).median())


def _of(rows: pd.DataFrame) -> str:
    """How many units there are, or the name of the only one."""
    if len(rows) > 1:
        return count(len(rows), unit_noun(rows))
    return shortened(first_value(rows, "unit"), 40)


def style_box(table: pd.DataFrame) -> Any:
    """The two loadings of each unit with bars of two standard errors; the corners are styles."""
    rows = table.dropna(subset="size_loading")
    if rows.empty:
        return None
    x = floats(rows, "value_loading")
    y = floats(rows, "size_loading")
    wide = 2.0 * np.nan_to_num(floats(rows, "value_std_error"))
    tall = 2.0 * np.nan_to_num(floats(rows, "size_std_error"))
    note = (
        f"{_of(rows)}; bars: two standard errors each way; "
        "hollow: one loading or both without significance"
    )
    figure = figure_of(6.3, "Style box", note)
    axes = axes_across(figure, 0.85, 4.75, 0.85)
    axes.errorbar(x, y, xerr=wide, yerr=tall, fmt="none", ecolor=BLUE, elinewidth=1.0, alpha=0.6)
    fills = np.where(_significant(rows), BLUE, "white")
    axes.scatter(x, y, s=28, c=fills, edgecolors=BLUE, linewidths=1.2, zorder=3)
    axes.set_xlim(_around_zero(x - wide, x + wide))
    axes.set_ylim(_around_zero(y - tall, y + tall))
    zero_line(axes, "x")
    zero_line(axes, "y")
    corners = _corners(axes)
    size_term = first_value(rows, "size_term")
    size = shortened(size_term)
    value_term = first_value(rows, "value_term")
    value = shortened(value_term)
    axes.set(xlabel=f"{value} loading (growth < 0 < value)")
    axes.set(ylabel=f"{size} loading (large < 0 < small)")
    taken = [np.ravel(corner.get_window_extent()) for corner in corners]
    taken += _bars(axes, x, y, wide, tall)
    _name(axes, x, y, rows["unit"], taken)
    return figure


def _corners(axes: Any) -> list[Any]:
    """The names of the four styles in the corners of the axes."""
    corners = []
    for across, value, side in ((0.01, "growth", "left"), (0.99, "value", "right")):
        for up, size, end in ((0.01, "large", "bottom"), (0.99, "small", "top")):
            place: Any = {"ha": side, "va": end, "transform": axes.transAxes}
            text = f"{size} {value}"
            corners.append(axes.text(across, up, text, size=11, weight="bold", color=GREY, **place))
    return corners


def _bars(
    axes: Any, x: np.ndarray, y: np.ndarray, wide: np.ndarray, tall: np.ndarray
) -> list[np.ndarray]:
    """Boxes of the bars, in pixels: left, bottom, right, top."""
    flat = np.zeros_like(x)
    boxes: list[np.ndarray] = []
    for dx, dy in ((wide, flat), (flat, tall)):
        lower = np.column_stack([x - dx, y - dy])
        upper = np.column_stack([x + dx, y + dy])
        first = axes.transData.transform(lower)
        last = axes.transData.transform(upper)
        columns = [first, last]
        corners = np.column_stack(columns)
        boxes.extend(corners)
    return boxes


def _significant(rows: pd.DataFrame) -> np.ndarray:
    """Whether both loadings of a unit (n,) differ significantly from zero."""
    styles = rows[["size", "value"]]
    unclear = styles.isin(["neither", ""])
    clear = styles.notna() & ~unclear
    return clear.all(axis=1).to_numpy()


def _around_zero(lower: np.ndarray, upper: np.ndarray) -> tuple[float, float]:
    """Limits that hold the bars and, with room for the names of the regions, zero.

    Args:
        lower: (n,) lower ends of the bars.
        upper: (n,) upper ends.
    """
    lowest = lower.min()
    low = min(lowest, 0.0)
    highest = upper.max()
    high = max(highest, 0.0)
    span = high - low
    room = 0.14 * span or 1.0
    return low - room, high + room


def nested(table: pd.DataFrame) -> Any:
    """R2 of the restricted and of the full model, a row per unit; many units as points."""
    rows = table.dropna(subset=["r2_full", "r2_restricted"])
    if rows.empty:
        return None
    tested = first_value(rows, "tested")
    hypothesis = shortened(tested, 60)
    kind = first_value(rows, "test")
    filled_if = f"filled: p < 0.05, {kind} test of {hypothesis}"
    title = f"R2 without and with the further regressors: {_of(rows)}"
    if len(rows) > MOST_NAMED:
        note = f"each point one {unit_noun(rows)}; {filled_if}"
        return _nested_points(rows, title, note)
    names = labels_of(rows["unit"])
    tall = 0.24 * len(rows) + 0.2  # inches: a line per unit, and a margin
    letters = longest(names)
    left = 0.35 + 0.085 * letters
    figure = figure_of(tall + 1.75, title, filled_if)
    axes = axes_across(figure, 1.0, tall, left)
    heights = -np.arange(len(rows), dtype=float)
    before, after, filled = _ends(rows)
    axes.hlines(heights, before, after, color=PALE, linewidth=3.0, zorder=1)
    square: Any = {"s": 34, "c": "white", "edgecolors": GREY, "linewidths": 1.4, "marker": "s"}
    axes.scatter(before, heights, zorder=3, label="restricted", **square)
    axes.scatter(
        after, heights, s=38, c=filled, edgecolors=BLUE, linewidths=1.4, zorder=4, label="full"
    )
    axes.set_yticks(heights, names)
    hide_left_axis(axes)
    lowest = heights[-1]
    axes.set_ylim(lowest - 0.7, 0.7)
    axes.set_xlabel("R2 in sample")
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
    return figure


def _ends(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R2 (n,) of both models, and fills (n,): hollow where no test rejects at 5 %."""
    before = floats(rows, "r2_restricted")
    after = floats(rows, "r2_full")
    rejected = for_a_verdict(rows, rows) < LEVEL
    return before, after, np.where(rejected, BLUE, "white")


def _nested_points(rows: pd.DataFrame, title: str, note: str) -> Any:
    """A point per unit, R2 of the full model against that of the restricted one."""
    figure = figure_of(5.4, title, note)
    axes = axes_across(figure, 0.8, 4.0, 0.85)
    before, after, filled = _ends(rows)
    axes.scatter(before, after, s=16, c=filled, edgecolors=BLUE, linewidths=0.8, zorder=3)
    low = float(before.min())
    high = float(after.max())
    ends = [low, high]
    axes.plot(ends, ends, color=ORANGE, linewidth=1.2, label="nothing gained")
    axes.set(xlabel="R2 restricted", ylabel="R2 full")
    axes.legend(frameon=False, loc="lower right")
    return figure


def _name(
    axes: Any, x: np.ndarray, y: np.ndarray, names: pd.Series, taken: Sequence[np.ndarray] = ()
) -> None:
    """Names beside their points where there is room, with a line to those further out.

    None where they are too many.
    """
    if len(names) > MOST_NAMED:
        return
    renderer = axes.figure.canvas.get_renderer()
    labels = labels_of(names)
    sizes = []
    for label in labels:
        text = axes.text(0.0, 0.0, label, size=NAME_SIZE)
        extent = text.get_window_extent(renderer)
        sizes.append(extent.size)
        text.remove()
    columns = [x, y]
    values = np.column_stack(columns)
    points = axes.transData.transform(values)
    bounds = axes.bbox.extents
    scale = axes.figure.dpi / 72.0
    offsets = places(points, np.array(sizes), taken, bounds, scale)
    for k, (dx, dy) in enumerate(offsets):
        line = None
        distance = max(abs(dx), abs(dy))
        if distance > NEAR:
            line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 4}
        axes.annotate(
            labels[k],
            (x[k], y[k]),
            (dx, dy),
            textcoords="offset points",
            size=NAME_SIZE,
            color=INK,
            va="center",
            ha=_side(dx),
            arrowprops=line,
            zorder=5,
        )


def _side(dx: float) -> str:
    """The edge of a name that is nearest to its point."""
    if dx > 0:
        return "left"
    return "right" if dx < 0 else "center"


def places(
    points: np.ndarray,
    sizes: np.ndarray,
    taken: Sequence[np.ndarray],
    bounds: np.ndarray,
    scale: float,
) -> list[tuple[float, float]]:
    """Offsets, in points of the page, at which boxes beside points are free of others.

    Where no place is free it is the first.

    Args:
        points: (n, 2) in pixels.
        sizes: (n, 2) of the boxes in pixels.
        taken: boxes (left, bottom, right, top) in pixels that must stay free.
        bounds: the box that all must be in.
        scale: pixels to a point of the page.
    """
    dots = np.column_stack([points - DOT, points + DOT])
    occupied = [*taken, *dots]
    offsets = []
    for point, size in zip(points, sizes, strict=True):
        chosen = PLACES[0]
        for place in PLACES:
            offset = scale * np.array(place)
            anchor = point + offset
            box = _box(anchor, size, _side(place[0]))
            covered = any(_overlap(box, other) for other in occupied)
            if _inside(box, bounds) and not covered:
                chosen = place
                occupied.append(box)
                break
        offsets.append(chosen)
    return offsets


def _box(anchor: np.ndarray, size: np.ndarray, side: str) -> np.ndarray:
    """Left, bottom, right and top of a name whose edge or middle is at the anchor."""
    wide, tall = size
    before = {"left": 0.0, "right": wide, "center": wide / 2}
    x, y = anchor
    left = x - before[side]
    half = tall / 2
    low = y - half
    right = left + wide
    top = low + tall
    return np.array([left, low, right, top])


def _inside(box: np.ndarray, bounds: np.ndarray) -> bool:
    """Whether the box is within the bounds."""
    from_low = box[:2] >= bounds[:2]
    to_high = box[2:] <= bounds[2:]
    return bool(from_low.all() and to_high.all())


def _overlap(box: np.ndarray, other: np.ndarray) -> bool:
    """Whether two boxes share an area."""
    begins_before = box[:2] < other[2:]
    ends_after = other[:2] < box[2:]
    return bool(begins_before.all() and ends_after.all())

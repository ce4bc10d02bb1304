"""Average returns against what betas imply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import BLUE, GREY, INK, WIDTH, axes_at, figure_of, shortened
from runner.sinks.drawings.columns import floats
from runner.text import LEVEL, count

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMES = 40  # points up to which all have a name
FURTHEST = 20  # of more points, so many with the largest errors have one
# sides of a point where its name may stand, the best first
NEAR = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.4), (0.7, -0.4), (-0.7, 0.4), (-0.7, -0.4))
DIAGONAL = ((0.8, 0.6), (0.8, -0.6), (-0.8, 0.6), (-0.8, -0.6))
# further out, with a line to the point
FAR = tuple((4.0 * x, 4.0 * y) for x, y in (*DIAGONAL, *NEAR[:4]))
SIDES = (*NEAR, *FAR)
GAP = 5.0  # points of the page between a point and its name
SIZE = 8.0  # points of the page of the letters
DOT = 4  # points of the page around a point that no name covers
CROWD = 30.0  # points of the page within which points are neighbours
ON_LINE = 40.0  # price in pixels of a name on the line of equal values
OUTSIDE = 1e4  # price in pixels of a name outside the axes


def pricing(table: pd.DataFrame) -> Any:
    """Mean return of each asset against the one that its betas imply, with the line of equality."""
    implied = floats(table, "implied_return")
    mean = floats(table, "mean_return")
    pricing_errors = floats(table, "pricing_error")
    errors = np.abs(pricing_errors)
    named = np.argsort(-errors)
    assets = count(len(table), "asset")
    note = f"{assets}; above the line an asset earned more than its betas imply"
    if len(table) > MOST_NAMES:
        named = named[:FURTHEST]
        note += f"; the {FURTHEST} furthest from the line are named"
    figure = figure_of(7.0, "Mean returns and what betas imply", note)
    axes = axes_at(figure, 0.95, 0.8, WIDTH - 1.3, 5.55)
    significant = (table["p_value"] < LEVEL).to_numpy()
    _dots(axes, implied[significant], mean[significant], BLUE, "p < 0.05")
    other = ~significant
    _dots(axes, implied[other], mean[other], "white", "p 0.05 or more")
    low = min(implied.min(), mean.min())
    high = max(implied.max(), mean.max())
    ends = [low, high]
    axes.plot(ends, ends, color=INK, linewidth=1.0, zorder=1, label="mean return as implied")
    _scale(axes, implied, mean)
    axes.set(
        xlabel="return implied by betas and premia (decimals per row)",
        ylabel="mean return (decimals per row)",
    )
    axes.legend(frameon=False, loc="upper left", fontsize=8.5)
    names = table["unit"].to_numpy()
    _name(axes, implied, mean, names, named)
    return figure


def _dots(axes: Any, implied: np.ndarray, mean: np.ndarray, fill: str, label: str) -> None:
    """A dot per asset, if there are any."""
    if len(implied):
        style: Any = {"s": 26, "edgecolors": BLUE, "linewidths": 1.2, "zorder": 3}
        axes.scatter(implied, mean, color=fill, label=f"pricing error: {label}", **style)


def _scale(axes: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Room for every point.

    Along x at least half of the span along y, so that a flat cloud does not look steep.
    """
    tall = np.ptp(y) or abs(y[0]) or 1.0
    wide_of_x = np.ptp(x)
    half_tall = tall / 2
    wide = max(wide_of_x, half_tall)
    middle = (x.min() + x.max()) / 2
    half = 0.57 * wide
    axes.set_xlim(middle - half, middle + half)
    low = y.min() - 0.07 * tall
    high = y.max() + 0.16 * tall  # the legend stands above
    axes.set_ylim(low, high)


def _name(axes: Any, x: np.ndarray, y: np.ndarray, names: np.ndarray, which: np.ndarray) -> None:
    """The names of these points, each on the side where it is in nobody's way.

    Those in a crowd choose first.
    """
    axes.figure.canvas.draw()  # fixes the scales
    pixels = axes.figure.dpi / 72.0  # of a point of the page
    columns = [x, y]
    values = np.column_stack(columns)
    points = axes.transData.transform(values)
    margin = DOT * pixels
    gap = GAP * pixels
    taken: list[Box] = [(px - margin, py - margin, px + margin, py + margin) for px, py in points]
    legend = axes.get_legend().get_window_extent()
    taken.append(legend.extents)
    apart = points[:, None] - points
    distances = np.linalg.norm(apart, axis=2)
    reach = CROWD * pixels
    nearness = np.exp(-distances / reach)
    crowd = nearness.sum(axis=0)
    sides = len(SIDES)
    order = np.arange(sides)
    square = 0.5 * pixels**2
    dislike = square * order  # of sides that come later
    for i in sorted(which, key=lambda row: -crowd[row]):
        text = shortened(names[i])
        wide = 0.62 * SIZE * len(text) * pixels
        points_tall = 1.1 * SIZE
        tall = points_tall * pixels
        point = points[i]
        boxes = [_box(point, side, wide, tall, gap) for side in SIDES]
        costs = [_cost(axes, box, taken) for box in boxes]
        best = int(np.argmin(costs + dislike))
        taken.append(boxes[best])
        place = (x[i], y[i])
        _write(axes, text, place, best)


def _write(axes: Any, text: str, point: tuple[float, float], place: int) -> None:
    """The name of a point on one of SIDES, with a line to it where that is far out."""
    across, up = SIDES[place]
    arrow = None
    if place >= len(NEAR):
        arrow = {"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 3}
    axes.annotate(
        text,
        point,
        (across * GAP, up * GAP + float(np.sign(up)) * 0.55 * SIZE),
        textcoords="offset points",
        arrowprops=arrow,
        ha=_edge(across),
        va="center",
        fontsize=SIZE,
        color=INK,
        zorder=4,
    )


Box = tuple[float, float, float, float]


def _edge(side: float) -> str:
    """The edge of a name that is nearest to its point."""
    if side > 0:
        return "left"
    return "right" if side < 0 else "center"


def _box(at: np.ndarray, side: tuple[float, float], wide: float, tall: float, gap: float) -> Box:
    """Where a text lies, in pixels, that stands on this side of a point."""
    across, up = side
    right = at[0] + across * gap
    half_wide = np.sign(across) * wide / 2
    x = right + half_wide
    upper = at[1] + up * gap
    half_of_height = np.sign(up) * tall / 2
    y = upper + half_of_height
    half = wide / 2
    half_tall = tall / 2
    left = x - half
    bottom = y - half_tall
    return left, bottom, x + half, y + half_tall


def _overlap(a: Box, b: Box) -> float:
    """Area in pixels that two boxes share."""
    left = max(a[0], b[0])
    low = max(a[1], b[1])
    right = min(a[2], b[2])
    high = min(a[3], b[3])
    wide = right - left
    tall = high - low
    if wide <= 0.0 or tall <= 0.0:
        return 0.0
    return wide * tall


def _cost(axes: Any, box: Box, taken: Sequence[Box]) -> float:
    """What is against a name in this box: areas taken, the line of equal values, the outside."""
    cost = sum(_overlap(box, other) for other in taken)
    elsewhere = _elsewhere(axes, box)
    return cost + elsewhere


def _elsewhere(axes: Any, box: Box) -> float:
    """A small price for lying on the line of equal values, a high one for lying off the axes."""
    left, low, right, high = box
    inverse = axes.transData.inverted()
    x0, y0 = inverse.transform((left, low))
    x1, y1 = inverse.transform((right, high))
    on_line = x0 < y1 and y0 < x1
    frame = axes.get_window_extent()
    outside_across = left < frame.x0 or right > frame.x1
    outside_up = low < frame.y0 or high > frame.y1
    outside = outside_across or outside_up
    cost_of_line = ON_LINE * on_line
    return cost_of_line + OUTSIDE * outside

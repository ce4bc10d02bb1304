"""Average returns against what betas imply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import BLUE, GREY, INK, WIDTH, axes_at, figure_of, shortened
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
    implied = table["implied_return"].to_numpy(dtype=float)
    mean = table["mean_return"].to_numpy(dtype=float)
    named = np.argsort(-np.abs(table["pricing_error"].to_numpy(dtype=float)))
    note = f"{count(len(table), 'asset')}; above the line an asset earned more than its betas imply"
    if len(table) > MOST_NAMES:
        named = named[:FURTHEST]
        note += f"; the {FURTHEST} furthest from the line are named"
    figure = figure_of(7.0, "Mean returns and what betas imply", note)
    axes = axes_at(figure, 0.95, 0.8, WIDTH - 1.3, 5.55)
    significant = (table["p_value"] < LEVEL).to_numpy()
    _dots(axes, implied[significant], mean[significant], BLUE, "p < 0.05")
    _dots(axes, implied[~significant], mean[~significant], "white", "p 0.05 or more")
    ends = [min(implied.min(), mean.min()), max(implied.max(), mean.max())]
    axes.plot(ends, ends, color=INK, linewidth=1.0, zorder=1, label="mean return as implied")
    _scale(axes, implied, mean)
    axes.set(
        xlabel="return implied by betas and premia (decimals per row)",
        ylabel="mean return (decimals per row)",
    )
    axes.legend(frameon=False, loc="upper left", fontsize=8.5)
    _name(axes, implied, mean, table["unit"].to_numpy(), named)
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
    wide = max(np.ptp(x), tall / 2)
    middle = (x.min() + x.max()) / 2
    axes.set_xlim(middle - 0.57 * wide, middle + 0.57 * wide)
    axes.set_ylim(y.min() - 0.07 * tall, y.max() + 0.16 * tall)  # the legend stands above


def _name(axes: Any, x: np.ndarray, y: np.ndarray, names: np.ndarray, which: np.ndarray) -> None:
    """The names of these points, each on the side where it is in nobody's way.

    Those in a crowd choose first.
    """
    axes.figure.canvas.draw()  # fixes the scales
    pixels = axes.figure.dpi / 72.0  # of a point of the page
    at = axes.transData.transform(np.column_stack([x, y]))
    margin = DOT * pixels
    taken: list[Box] = [(px - margin, py - margin, px + margin, py + margin) for px, py in at]
    taken.append(axes.get_legend().get_window_extent().extents)
    distances = np.linalg.norm(at[:, None] - at, axis=2)
    crowd = np.exp(-distances / (CROWD * pixels)).sum(axis=0)
    dislike = 0.5 * pixels**2 * np.arange(len(SIDES))  # of sides that come later
    for i in sorted(which, key=lambda row: -crowd[row]):
        text = shortened(names[i])
        wide = 0.62 * SIZE * len(text) * pixels
        tall = 1.1 * SIZE * pixels
        boxes = [_box(at[i], side, wide, tall, GAP * pixels) for side in SIDES]
        costs = [_cost(axes, box, taken) for box in boxes]
        best = int(np.argmin(costs + dislike))
        taken.append(boxes[best])
        _write(axes, text, (x[i], y[i]), best)


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
    x = at[0] + side[0] * gap + np.sign(side[0]) * wide / 2
    y = at[1] + side[1] * gap + np.sign(side[1]) * tall / 2
    return x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2


def _overlap(a: Box, b: Box) -> float:
    """Area in pixels that two boxes share."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    tall = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0.0 or tall <= 0.0:
        return 0.0
    return wide * tall


def _cost(axes: Any, box: Box, taken: Sequence[Box]) -> float:
    """What is against a name in this box: areas taken, the line of equal values, the outside."""
    cost = sum(_overlap(box, other) for other in taken)
    return cost + _elsewhere(axes, box)


def _elsewhere(axes: Any, box: Box) -> float:
    """A small price for lying on the line of equal values, a high one for lying off the axes."""
    left, low, right, high = box
    inverse = axes.transData.inverted()
    x0, y0 = inverse.transform((left, low))
    x1, y1 = inverse.transform((right, high))
    on_line = x0 < y1 and y0 < x1
    frame = axes.get_window_extent()
    outside = left < frame.x0 or low < frame.y0 or right > frame.x1 or high > frame.y1
    return ON_LINE * on_line + OUTSIDE * outside

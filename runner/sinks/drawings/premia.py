"""Average returns against what betas imply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import BLUE, GREY, INK, WIDTH, axes_at, figure_of, shortened
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMES, FURTHEST = (
    40,
    20,
)  # points up to which all have a name; of more, so many with the largest errors
NEAR = (
    (1, 0),
    (-1, 0),
    (0, 1),
    (0, -1),
    (0.7, 0.4),
    (0.7, -0.4),
    (-0.7, 0.4),
    (-0.7, -0.4),
)  # best first
FAR = tuple(
    (4.0 * x, 4.0 * y) for x, y in ((0.8, 0.6), (0.8, -0.6), (-0.8, 0.6), (-0.8, -0.6), *NEAR[:4])
)
GAP, SIZE = 5.0, 8.0  # points between a point and its name, and of the letters


def pricing(table: pd.DataFrame) -> Any:
    """Mean return of each asset against the one that its betas imply, with the line on which they
    are equal.
    """
    implied, mean = (
        table[name].to_numpy(dtype=float) for name in ("implied_return", "mean_return")
    )
    hits = (table["p_value"] < 0.05).to_numpy()
    far = np.argsort(-np.abs(table["pricing_error"].to_numpy(dtype=float)))
    named = far[:FURTHEST] if len(table) > MOST_NAMES else far
    some = f"; the {FURTHEST} furthest from the line are named" if len(table) > MOST_NAMES else ""
    note = f"{count(len(table), 'asset')}; above the line an asset earned more than its betas imply{some}"
    figure = figure_of(7.0, "Mean returns and what betas imply", note)
    axes = axes_at(figure, 0.95, 0.8, WIDTH - 1.3, 5.55)
    for chosen, fill, label in ((hits, BLUE, "p < 0.05"), (~hits, "white", "p 0.05 or more")):
        if chosen.any():
            style = {"s": 26, "color": fill, "edgecolors": BLUE, "linewidths": 1.2, "zorder": 3}
            axes.scatter(implied[chosen], mean[chosen], **style, label=f"pricing error: {label}")
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


def _scale(axes: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Room for every point; along x at least half of the span along y, so that a flat cloud does
    not look steep.
    """
    tall = np.ptp(y) or abs(y[0]) or 1.0
    wide, middle = max(np.ptp(x), tall / 2), (x.min() + x.max()) / 2
    axes.set_xlim(middle - 0.57 * wide, middle + 0.57 * wide)
    axes.set_ylim(y.min() - 0.07 * tall, y.max() + 0.16 * tall)  # the legend stands above


def _name(axes: Any, x: np.ndarray, y: np.ndarray, names: np.ndarray, which: np.ndarray) -> None:
    """The names of these points, each on the side where it is in nobody's way; those in a crowd
    choose first.
    """
    axes.figure.canvas.draw()  # fixes the scales
    dot, at = axes.figure.dpi / 72.0, axes.transData.transform(np.column_stack([x, y]))
    legend = axes.get_legend().get_window_extent()
    taken = [
        *((px - 4 * dot, py - 4 * dot, px + 4 * dot, py + 4 * dot) for px, py in at),
        legend.extents,
    ]
    crowd = np.exp(-np.linalg.norm(at[:, None] - at, axis=2) / (30.0 * dot)).sum(axis=0)
    for i in sorted(which, key=lambda one: -crowd[one]):
        text = shortened(names[i])
        wide, tall = 0.62 * SIZE * len(text) * dot, 1.1 * SIZE * dot
        boxes = [_box(at[i], side, wide, tall, GAP * dot) for side in (*NEAR, *FAR)]
        costs = [
            sum(_overlap(box, other) for other in taken) + _elsewhere(axes, box) for box in boxes
        ]
        best = int(np.argmin(costs + 0.5 * dot**2 * np.arange(len(costs))))
        taken.append(boxes[best])
        side = (*NEAR, *FAR)[best]
        style = {"ha": _edge(side[0]), "va": "center", "fontsize": SIZE, "color": INK, "zorder": 4}
        pointer = {"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 3}
        offset = side[0] * GAP, side[1] * GAP + float(np.sign(side[1])) * 0.55 * SIZE
        arrow = pointer if best >= len(NEAR) else None
        axes.annotate(
            text, (x[i], y[i]), offset, textcoords="offset points", arrowprops=arrow, **style
        )


Box = tuple[float, float, float, float]


def _edge(side: float) -> str:
    return "left" if side > 0 else "right" if side < 0 else "center"


def _box(at: np.ndarray, side: tuple[float, float], wide: float, tall: float, gap: float) -> Box:
    """Where a text lies, in pixels, that stands on this side of a point."""
    x = at[0] + side[0] * gap + np.sign(side[0]) * wide / 2
    y = at[1] + side[1] * gap + np.sign(side[1]) * tall / 2
    return x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2


def _overlap(a: Box, b: Box) -> float:
    """Area in pixels that two boxes share."""
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return wide * tall if wide > 0.0 and tall > 0.0 else 0.0


def _elsewhere(axes: Any, box: Box) -> float:
    """A small price for lying on the line of equal values, a high one for lying outside the
    axes.
    """
    inverse, frame = axes.transData.inverted(), axes.get_window_extent()
    (x0, y0), (x1, y1) = inverse.transform(box[:2]), inverse.transform(box[2:])
    outside = box[0] < frame.x0 or box[1] < frame.y0 or box[2] > frame.x1 or box[3] > frame.y1
    return 40.0 * (x0 < y1 and y0 < x1) + 1e4 * outside

"""Pictures of fund performance: realised against the CAPM, the style box, and two nested models."""

from __future__ import annotations

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
from runner.text import count, number, unit_noun

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

MOST_NAMED = 30  # units drawn with their names
NAME_SIZE, NEAR = (
    8.5,
    10.0,
)  # of names, and how far one may stand from its point without a line to it, in points
# Where a name may stand beside its point, in points of the page: right, left, above, below, then
# further out.
PLACES = [
    (6.0, 0.0),
    (-6.0, 0.0),
    (0.0, 9.0),
    (0.0, -9.0),
    (6.0, 8.0),
    (-6.0, 8.0),
    (6.0, -8.0),
    (-6.0, -8.0),
]
PLACES += [(times * x, times * y) for times in (2.5, 4.0, 6.0, 8.0) for x, y in PLACES]


def security_market_line(table: pd.DataFrame) -> Any:
    """Mean excess return realised against the CAPM's beta, with the line that the CAPM implies."""
    rows = table[table["alpha"].notna()]
    if rows.empty:
        return None
    beta, realised = (rows[name].to_numpy(dtype=float) for name in ("capm_beta", "realised_annual"))
    premium = float(rows["premium"].mean() * _year(rows))
    note = f"{_of(rows)}; above the line: more than the CAPM implies; beta with the market alone"
    figure = figure_of(4.9, "Realised excess return against the CAPM", note)
    axes = axes_at(figure, 0.85, 0.8, 7.9, 3.5)
    ends = np.array([min(0.0, beta.min()), max(1.1, beta.max() * 1.06)])
    label = f"CAPM: beta times {number(100.0 * premium, 3)} % a year"
    axes.plot(ends, 100.0 * premium * ends, color=ORANGE, linewidth=1.4, label=label)
    axes.scatter(beta, 100.0 * realised, s=26, color=BLUE, zorder=3)
    zero_line(axes.axhline, axes.get_ylim())
    axes.margins(x=0.05, y=0.12)
    axes.set(xlabel="beta (market alone)", ylabel="mean excess return (% a year)")
    axes.legend(frameon=False, loc="upper left")
    _name(axes, beta, 100.0 * realised, rows["unit"])
    return figure


def _year(rows: pd.DataFrame) -> float:
    """Rows of a year, as the table has them."""
    return float((rows["realised_annual"] / rows["realised"]).median())


def _of(rows: pd.DataFrame) -> str:
    return (
        count(len(rows), unit_noun(rows)) if len(rows) > 1 else shortened(rows["unit"].iloc[0], 40)
    )


def style_box(table: pd.DataFrame) -> Any:
    """The two loadings of each unit with bars of two standard errors; the corners are the
    styles.
    """
    rows = table[table["size_loading"].notna()]
    if rows.empty:
        return None
    x, y = (rows[f"{axis}_loading"].to_numpy(dtype=float) for axis in ("value", "size"))
    size, value = (str(rows[f"{axis}_term"].iloc[0]) for axis in ("size", "value"))
    note = f"{_of(rows)}; bars: two standard errors each way; hollow: one loading or both without significance"
    figure = figure_of(6.3, "Style box", note)
    axes = axes_at(figure, 0.85, 0.85, 7.9, 4.75)
    wide, tall = (
        2.0 * np.nan_to_num(rows[f"{axis}_std_error"].to_numpy(dtype=float))
        for axis in ("value", "size")
    )
    axes.errorbar(x, y, xerr=wide, yerr=tall, fmt="none", ecolor=BLUE, elinewidth=1.0, alpha=0.6)
    both = np.array([_clear(*pair) for pair in zip(rows["size"], rows["value"], strict=True)])
    axes.scatter(
        x, y, s=28, c=np.where(both, BLUE, "white"), edgecolors=BLUE, linewidths=1.2, zorder=3
    )
    for limits, low, high in (
        (axes.set_xlim, x - wide, x + wide),
        (axes.set_ylim, y - tall, y + tall),
    ):
        limits(*_around_zero(low.min(), high.max()))
    axes.axvline(0.0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.axhline(0.0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    corners = [
        axes.text(across, up, f"{'small' if up > 0.5 else 'large'} {'value' if across > 0.5 else 'growth'}",
                  transform=axes.transAxes, ha="right" if across > 0.5 else "left",
                  va="top" if up > 0.5 else "bottom", size=11, weight="bold", color=GREY)
        for across in (0.01, 0.99) for up in (0.01, 0.99)
    ]  # fmt: skip
    axes.set(xlabel=f"{shortened(value)} loading (growth < 0 < value)")
    axes.set(ylabel=f"{shortened(size)} loading (large < 0 < small)")
    taken = [np.ravel(one.get_window_extent()) for one in corners] + _bars(axes, x, y, wide, tall)
    _name(axes, x, y, rows["unit"], taken)
    return figure


def _bars(
    axes: Any, x: np.ndarray, y: np.ndarray, wide: np.ndarray, tall: np.ndarray
) -> list[np.ndarray]:
    """Boxes of the bars, in pixels: left, bottom, right, top."""
    flat = np.zeros_like(x)
    found = []
    for dx, dy in ((wide, flat), (flat, tall)):
        ends = [
            axes.transData.transform(np.column_stack([x + sign * dx, y + sign * dy]))
            for sign in (-1.0, 1.0)
        ]
        found += list(np.column_stack(ends))
    return found


def _clear(size: object, value: object) -> bool:
    """Both sides of the style are significant."""
    return all(side not in ("neither", "") and side == side for side in (size, value))


def _around_zero(low: float, high: float) -> tuple[float, float]:
    """Limits that hold the points and, with room for the names of the regions, zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    room = 0.14 * (high - low) or 1.0
    return low - room, high + room


def nested(table: pd.DataFrame) -> Any:
    """R2 of the restricted and of the full model, a row per unit; many units as points."""
    rows = table[table["r2_full"].notna() & table["r2_restricted"].notna()]
    if rows.empty:
        return None
    tested = shortened(rows["tested"].iloc[0], 60)
    test = f"{rows['test'].iloc[0]} test of {tested}"
    title = f"R2 without and with the further regressors: {_of(rows)}"
    if len(rows) > MOST_NAMED:
        return _nested_points(
            rows, title, f"each point one {unit_noun(rows)}; filled: p < 0.05, {test}"
        )
    names = [shortened(unit) for unit in rows["unit"]]
    tall, left = 0.24 * len(rows) + 0.2, 0.35 + 0.085 * max(map(len, names))
    figure = figure_of(tall + 1.75, title, f"filled: p < 0.05, {test}")
    axes = axes_at(figure, left, 1.0, WIDTH - left - 0.25, tall)
    at = -np.arange(len(rows), dtype=float)
    before, after, filled = _ends(rows)
    axes.hlines(at, before, after, color=PALE, linewidth=3.0, zorder=1)
    axes.scatter(
        before,
        at,
        s=34,
        c="white",
        edgecolors=GREY,
        linewidths=1.4,
        marker="s",
        zorder=3,
        label="restricted",
    )
    axes.scatter(after, at, s=38, c=filled, edgecolors=BLUE, linewidths=1.4, zorder=4, label="full")
    axes.set_yticks(at, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set(xlabel="R2 in sample", ylim=(at[-1] - 0.7, 0.7))
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
    return figure


def _ends(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R2 of both models, and the fill of the second: hollow where the test does not reject at 5
    %.
    """
    before, after = (rows[f"r2_{which}"].to_numpy(dtype=float) for which in ("restricted", "full"))
    return before, after, np.where(rows["p_value"] < 0.05, BLUE, "white")


def _nested_points(rows: pd.DataFrame, title: str, note: str) -> Any:
    figure = figure_of(5.4, title, note)
    axes = axes_at(figure, 0.85, 0.8, 7.9, 4.0)
    before, after, filled = _ends(rows)
    axes.scatter(before, after, s=16, c=filled, edgecolors=BLUE, linewidths=0.8, zorder=3)
    ends = [float(before.min()), float(after.max())]
    axes.plot(ends, ends, color=ORANGE, linewidth=1.2, label="nothing gained")
    axes.set(xlabel="R2 restricted", ylabel="R2 full")
    axes.legend(frameon=False, loc="lower right")
    return figure


def _name(
    axes: Any, x: np.ndarray, y: np.ndarray, names: pd.Series, taken: Sequence[np.ndarray] = ()
) -> None:
    """Names beside their points where there is room, with a line to those further out; none where
    too many.
    """
    if len(names) > MOST_NAMED:
        return
    renderer, labels = axes.figure.canvas.get_renderer(), [shortened(name) for name in names]
    sizes = []
    for label in labels:
        text = axes.text(0.0, 0.0, label, size=NAME_SIZE)
        sizes.append(text.get_window_extent(renderer).size)
        text.remove()
    points = axes.transData.transform(np.column_stack([x, y]))
    offsets = places(points, np.array(sizes), taken, axes.bbox.extents, axes.figure.dpi / 72.0)
    for k, (dx, dy) in enumerate(offsets):
        line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 4}
        axes.annotate(
            labels[k], (x[k], y[k]), (dx, dy), textcoords="offset points", size=NAME_SIZE, color=INK, va="center",
            ha=_side(dx), arrowprops=line if max(abs(dx), abs(dy)) > NEAR else None, zorder=5,
        )  # fmt: skip


def _side(dx: float) -> str:
    return "left" if dx > 0 else "right" if dx < 0 else "center"


def places(
    points: np.ndarray,
    sizes: np.ndarray,
    taken: Sequence[np.ndarray],
    bounds: np.ndarray,
    scale: float,
) -> list[tuple[float, float]]:
    """Offsets, in points of the page, at which boxes of these sizes (n, 2) beside points (n, 2) are
    free of others.

    Sizes, points, `taken` boxes and bounds (left, bottom, right, top) are in pixels, `scale` of
    them to a point. Where no place is free it is the first.
    """
    found, taken = [], [*taken, *(np.concatenate([point - 4, point + 4]) for point in points)]
    for point, (wide, tall) in zip(points, sizes, strict=True):
        chosen, chosen_box = PLACES[0], None
        for dx, dy in PLACES:
            left = (
                point[0] + scale * dx - {"left": 0.0, "right": wide, "center": wide / 2}[_side(dx)]
            )
            low = point[1] + scale * dy - tall / 2
            box = np.array([left, low, left + wide, low + tall])
            inside = (box[:2] >= bounds[:2]).all() and (box[2:] <= bounds[2:]).all()
            if inside and not any(
                (box[:2] < one[2:]).all() and (one[:2] < box[2:]).all() for one in taken
            ):
                chosen, chosen_box = (dx, dy), box
                break
        found.append(chosen)
        taken += [chosen_box] if chosen_box is not None else []
    return found

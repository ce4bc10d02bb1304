"""How slopes grow as the penalty falls, and the error out of sample that chose the penalty."""

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
from runner.text import count, number, plural

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMED = 24  # slopes with their name at the end of the line
TALL, TOP = 3.6, 1.25  # inches
FACTORS = np.array([1.0, 2.0, 5.0])  # of the ticks in each decade


def path(table: pd.DataFrame) -> Any:
    """Slopes per standard deviation and the error curve side by side; of several units the mean
    error curve only.
    """
    curve = table[table["scope"] == "mean"]
    units = table.loc[table["scope"] != "mean", "unit"].nunique()
    single = units < 2
    if not single and curve.empty:
        curve = _mean(table)
    curve = table if single else curve
    names = [name.removeprefix("per_sd/") for name in table if name.startswith("per_sd/")]
    title = (
        "Penalty, slopes and error out of sample"
        if single and names
        else "Penalty and error out of sample"
    )
    figure = figure_of(TOP + TALL + 0.6, title, _note(table, curve, single, units))
    if not single or not names:
        _errors(axes_at(figure, 0.95, TOP, WIDTH - 1.25, TALL), curve, single)
        return figure
    margin = 0.25 + 0.075 * max(len(shortened(name)) for name in names)
    wide = (WIDTH - 0.75 - margin - 0.95 - 0.2) / 2
    _slopes(axes_at(figure, 0.75, TOP, wide, TALL), curve, names)
    _errors(axes_at(figure, 0.75 + wide + margin + 0.95, TOP, wide, TALL), curve, single)
    return figure


def _note(table: pd.DataFrame, curve: pd.DataFrame, single: bool, units: int) -> str:
    folds = int(table["folds"].max())
    if not single:
        return f"mean over {count(units, 'unit')} at the same place of their grids; up to {count(folds, 'fold')} each"
    marks = [
        f"{name} {number(curve.loc[at, 'penalty'].iloc[0])}" for name, at in _marks(curve).items()
    ]
    return f"{count(folds, 'fold')}; penalty at the {', '.join(marks)}"


def _marks(curve: pd.DataFrame) -> dict[str, pd.Series]:
    """Where the two choices are, as masks; the second is absent where there is one fold."""
    found = {"least error": curve["least"], "one standard error": curve["one_se"]}
    return {name: at for name, at in found.items() if at.any()}


def _mean(table: pd.DataFrame) -> pd.DataFrame:
    """Means over units at the same place of their grids; the penalty is the geometric mean."""
    place = table.groupby("unit", sort=False).cumcount()
    means = (
        table.assign(penalty=np.log(table["penalty"]))
        .groupby(place)[["penalty", "mean_error", "terms"]]
        .mean()
    )
    return means.assign(
        penalty=np.exp(means["penalty"]), std_error=np.nan, least=False, one_se=False
    )


def _slopes(axes: Any, curve: pd.DataFrame, names: list[str]) -> None:
    """A line per term; those kept at the choices in colour."""
    x = curve["penalty"].to_numpy()
    kept = {name: curve.loc[at].iloc[0] for name, at in _marks(curve).items()}
    labels = []
    for name in names:
        y = curve[f"per_sd/{name}"].to_numpy()
        inside = [mark for mark, row in kept.items() if row[f"per_sd/{name}"] != 0.0]
        colour = BLUE if "one standard error" in inside else ORANGE if inside else GREY
        axes.plot(x, y, color=colour, linewidth=1.5 if inside else 0.8, zorder=3 if inside else 2)
        labels.append((float(y[-1]), name, colour, bool(inside)))
    _scale(axes, x)
    _mark(axes, curve)
    zero_line(axes.axhline, axes.get_ylim())
    _name(
        axes,
        [one[:3] for one in sorted(labels, key=lambda one: (-one[3], -abs(one[0])))[:MOST_NAMED]],
    )
    axes.set_title("Slopes: target per standard deviation of the regressor", pad=26)
    keys = {
        BLUE: "kept at one standard error",
        ORANGE: "kept at the least error only",
        GREY: "at neither",
    }
    used = {colour for _, _, colour, _ in labels}
    for colour, text in keys.items() if len(used) > 1 else ():
        axes.plot([], [], color=colour, linewidth=1.5, label=text if colour in used else None)
    if len(used) > 1:
        _legend(axes)


def _legend(axes: Any) -> None:
    """In one line above the axes."""
    place = {
        "loc": "lower left",
        "bbox_to_anchor": (-0.02, 0.99),
        "handlelength": 1.3,
        "columnspacing": 0.9,
    }
    axes.legend(frameon=False, fontsize=7.6, ncols=3, borderpad=0.2, handletextpad=0.4, **place)


def _name(axes: Any, labels: list[tuple[float, str, str]]) -> None:
    """Names at the right ends of their lines, moved apart evenly up and down where they would
    overlap.
    """
    low, high = axes.get_ylim()
    order = sorted(labels)
    step = (high - low) * min(0.132 / TALL, 1.0 / max(len(order), 1))
    y, rank = np.array([one[0] for one in order]), step * np.arange(len(order))
    up = np.maximum.accumulate(y - rank) + rank
    down = np.minimum.accumulate((y - rank)[::-1])[::-1] + rank
    at = np.clip((up + down) / 2, low + rank, high - rank[::-1])
    for place, (end, name, colour) in zip(at, order, strict=True):
        beside = axes.get_yaxis_transform()
        axes.plot(
            [1.0, 1.03], [end, place], color=colour, linewidth=0.6, transform=beside, clip_on=False
        )
        axes.text(
            1.04, place, shortened(name), color=colour, fontsize=7.6, va="center", transform=beside
        )


def _errors(axes: Any, curve: pd.DataFrame, single: bool) -> None:
    """Mean squared error with its band of one standard error."""
    x, mean, error = (
        curve[name].to_numpy(dtype=float) for name in ("penalty", "mean_error", "std_error")
    )
    if np.isfinite(error).all():
        axes.fill_between(
            x, mean - error, mean + error, color=BLUE, alpha=0.2, linewidth=0, label="± 1 s.e."
        )
    axes.plot(
        x,
        mean,
        color=BLUE,
        linewidth=1.6,
        label="mean over folds" if single else "mean over folds and units",
    )
    if curve["least"].any() and np.isfinite(error).all():
        at = int(curve["least"].to_numpy().argmax())
        axes.axhline(
            mean[at] + error[at],
            color=GREY,
            linewidth=0.9,
            linestyle=(0, (4, 3)),
            label="least + 1 s.e.",
        )
    _scale(axes, x)
    _mark(axes, curve, 0.98)
    axes.set_title("Mean squared error out of sample", pad=26)
    _legend(axes)


def _scale(axes: Any, x: np.ndarray) -> None:
    """A logarithmic axis from the largest penalty to the least."""
    axes.set_xscale("log")
    low, high = float(x.min()), float(x.max())
    if low < high:
        axes.set_xlim(high, low)
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = 10.0**decades
    if np.sum((ticks >= low) & (ticks <= high)) < 2:
        ticks = np.outer(ticks, FACTORS).ravel()
    axes.set_xticks(ticks[(ticks >= low) & (ticks <= high)])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel("penalty (logarithmic), falling")
    axes.grid(axis="y", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)


def _mark(axes: Any, curve: pd.DataFrame, height: float = 0.02) -> None:
    """A line at each choice, with how many terms it keeps, written at this height of the axes."""
    chosen = {
        at.to_numpy().argmax(): colour
        for at, colour in zip(_marks(curve).values(), (ORANGE, BLUE), strict=False)
    }
    for at, colour in chosen.items():
        penalty, terms = curve["penalty"].iloc[at], curve["terms"].iloc[at]
        axes.axvline(penalty, color=colour, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)
        left = colour == BLUE and at > 0.06 * len(curve)
        align = {"ha": "right" if left else "left", "va": "top" if height > 0.5 else "bottom"}
        words = f"{terms:.3g} {'term' if terms == 1 else plural('term')}"
        place = {
            "xycoords": axes.get_xaxis_transform(),
            "textcoords": "offset points",
            "rotation": 90,
        }
        axes.annotate(
            words,
            (penalty, height),
            (-2 if left else 2, 0),
            color=INK,
            fontsize=7.6,
            **align,
            **place,
        )

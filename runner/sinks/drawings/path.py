"""How slopes grow as the penalty falls, and the error out of sample that chose the penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.sinks.canvas import (
    BLUE,
    DASHED,
    GREY,
    INK,
    ORANGE,
    PALE,
    WIDTH,
    axes_at,
    figure_of,
    labels_of,
    longest,
    shortened,
    zero_line,
)
from runner.sinks.drawings.columns import floats, largest, rows_where
from runner.sinks.drawings.hover import say_along
from runner.text import count, number, plural

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMED = 24  # slopes with their name at the end of the line
MOST_SAID = 4  # slopes of a penalty in the text under a pointer
TALL = 3.6  # inches of the axes
TOP = 1.25  # inches above them
HEIGHT = TOP + TALL + 0.6  # inches of the figure
LINE = 0.132  # inches from one name to the next
PER_SD = "per_sd/"  # before the names of terms in the columns of slopes
KEPT = {"linewidth": 1.5, "zorder": 3}  # the line of a slope that a choice keeps
DROPPED = {"linewidth": 0.8, "zorder": 2}
LEAST = "least error"
ONE_ERROR = "one standard error"
MEANINGS = {
    BLUE: "kept at one standard error",
    ORANGE: "kept at the smallest error only",
    GREY: "at neither",
}
FACTORS = np.array([1.0, 2.0, 5.0])  # of the ticks in each decade


def path(table: pd.DataFrame) -> Any:
    """Slopes per standard deviation and the error curve side by side.

    Of several units the mean error curve only.
    """
    units = table.loc[table["scope"] != "mean", "unit"].nunique()
    single = units < 2
    curve = table
    if not single:
        curve = rows_where(table, "scope", "mean")
        if curve.empty:
            curve = _mean(table)
    note = _note(table, curve, single, units)
    names = [name.removeprefix(PER_SD) for name in table if name.startswith(PER_SD)]
    if not single or not names:
        figure = figure_of(HEIGHT, "Penalty and error out of sample", note)
        axes = axes_at(figure, 0.95, TOP, WIDTH - 1.25, TALL)
        _errors(axes, curve, single)
        return figure
    figure = figure_of(HEIGHT, "Penalty, slopes and error out of sample", note)
    labels = labels_of(names)
    letters = longest(labels)
    margin = 0.25 + 0.075 * letters
    wide = (WIDTH - 0.75 - margin - 0.95 - 0.2) / 2
    left = axes_at(figure, 0.75, TOP, wide, TALL)
    middle = 0.75 + wide + margin + 0.95
    right = axes_at(figure, middle, TOP, wide, TALL)
    _slopes(left, curve, names)
    _errors(right, curve, single)
    return figure


def _note(table: pd.DataFrame, curve: pd.DataFrame, single: bool, units: int) -> str:
    """How many folds there are, and the penalties that were chosen."""
    number_of_folds = largest(table, "folds")
    folds = count(number_of_folds, "fold")
    if not single:
        many = count(units, "unit")
        means = f"mean over {many} at the same place of their grids"
        return f"{means}; up to {folds} each"
    marks = []
    for name, mask in _marks(curve).items():
        penalty = curve.loc[mask, "penalty"].iloc[0]
        penalty_text = number(penalty)
        mark = f"{name} {penalty_text}"
        marks.append(mark)
    choices = ", ".join(marks)
    return f"{folds}; penalty at the {choices}"


def _marks(curve: pd.DataFrame) -> dict[str, pd.Series]:
    """Where the two choices are, as masks; the second is absent where there is one fold."""
    masks = {LEAST: curve["least"], ONE_ERROR: curve["one_se"]}
    return {name: mask for name, mask in masks.items() if mask.any()}


def _mean(table: pd.DataFrame) -> pd.DataFrame:
    """Means over units at the same place of their grids; the penalty is the geometric mean."""
    by_unit = table.groupby("unit", sort=False)
    place = by_unit.cumcount()
    penalties = table["penalty"]
    log_penalties = np.log(penalties)
    logs = table.assign(penalty=log_penalties)
    means = logs.groupby(place)[["penalty", "mean_error", "terms"]].mean()
    penalty = np.exp(means["penalty"])
    return means.assign(penalty=penalty, std_error=np.nan, least=False, one_se=False)


def _slopes(axes: Any, curve: pd.DataFrame, names: list[str]) -> None:
    """A line per term; those kept at the choices in colour."""
    x = curve["penalty"].to_numpy()
    chosen = {}
    for choice, mask in _marks(curve).items():
        chosen[choice] = curve[mask].iloc[0]
    labels = []
    say_along([axes], x, _largest_slopes(curve, names))
    for name in names:
        column = f"{PER_SD}{name}"
        y = curve[column].to_numpy()
        keeping = [choice for choice, row in chosen.items() if row[column] != 0.0]
        colour = _colour(keeping)
        look: Any = KEPT if keeping else DROPPED
        axes.plot(x, y, color=colour, **look)
        end = float(y[-1])
        label = _Label(end, name, colour, bool(keeping))
        labels.append(label)
    _scale(axes, x)
    _mark(axes, curve)
    zero_line(axes, "y")
    labels.sort(key=_kept_and_large_first)
    _name(axes, labels[:MOST_NAMED])
    axes.set_title("Slopes: target per standard deviation of the regressor", pad=26)
    used = {label.colour for label in labels}
    if len(used) > 1:
        for colour, text in MEANINGS.items():
            if colour in used:
                axes.plot([], [], color=colour, linewidth=1.5, label=text)
        _legend(axes)


def _largest_slopes(curve: pd.DataFrame, names: list[str]) -> list[str]:
    """Of each penalty the few largest slopes."""
    slopes = curve[[f"{PER_SD}{name}" for name in names]].to_numpy(dtype=float)
    texts = []
    for penalty, row in zip(curve["penalty"], slopes, strict=True):
        order = np.argsort(-np.abs(row))[:MOST_SAID]
        said = [f"{names[k]} {number(row[k])}" for k in order if row[k]]
        texts.append(f"penalty {number(penalty)}: {', '.join(said) or 'no slope'}")
    return texts


class _Label(NamedTuple):
    """The name of a slope, where its line ends, its colour, and whether a choice keeps it."""

    end: float
    name: str
    colour: str
    kept: bool


def _kept_and_large_first(label: _Label) -> tuple[bool, float]:
    """The order in which names are written until there is no more room."""
    return not label.kept, -abs(label.end)


def _colour(keeping: Sequence[str]) -> str:
    """Of a slope by the choices that keep it."""
    if ONE_ERROR in keeping:
        return BLUE
    if keeping:
        return ORANGE
    return GREY


def _legend(axes: Any) -> None:
    """In one line above the axes."""
    axes.legend(
        frameon=False,
        fontsize=7.6,
        ncols=3,
        borderpad=0.2,
        handletextpad=0.4,
        loc="lower left",
        bbox_to_anchor=(-0.02, 0.99),
        handlelength=1.3,
        columnspacing=0.9,
    )


def _name(axes: Any, labels: list[_Label]) -> None:
    """Names at the right ends of their lines, moved apart up and down where they would overlap."""
    low, high = axes.get_ylim()
    upwards = sorted(labels)
    n = len(upwards)
    share = min(LINE / TALL, 1.0 / max(n, 1))
    range_of_ends = high - low
    step = range_of_ends * share
    y = np.array([label.end for label in upwards])
    ranks = np.arange(n)
    rank = step * ranks
    above = y - rank
    from_below = np.maximum.accumulate(above)
    from_top = above[::-1]
    lowest_so_far = np.minimum.accumulate(from_top)
    from_above = lowest_so_far[::-1]
    up = from_below + rank
    down = from_above + rank
    lowest = low + rank
    highest = high - rank[::-1]
    heights = np.clip((up + down) / 2, lowest, highest)
    beside = axes.get_yaxis_transform()
    for height, label in zip(heights, upwards, strict=True):
        look: Any = {"color": label.colour, "transform": beside}
        ends = [label.end, height]
        axes.plot([1.0, 1.03], ends, linewidth=0.6, clip_on=False, **look)
        name = shortened(label.name)
        axes.text(1.04, height, name, fontsize=7.6, va="center", **look)


def _errors(axes: Any, curve: pd.DataFrame, single: bool) -> None:
    """Mean squared error with its band of one standard error."""
    x = floats(curve, "penalty")
    mean = floats(curve, "mean_error")
    error = floats(curve, "std_error")
    is_finite = np.isfinite(error)
    known = is_finite.all()
    if known:
        band: Any = {"color": BLUE, "alpha": 0.2, "linewidth": 0}
        low = mean - error
        high = mean + error
        axes.fill_between(x, low, high, label="± 1 s.e.", **band)
    label = "mean over folds" if single else "mean over folds and regressions"
    axes.plot(x, mean, color=BLUE, linewidth=1.6, label=label)
    if curve["least"].any() and known:
        is_least = curve["least"].to_numpy()
        least = int(is_least.argmax())
        bound = mean[least] + error[least]
        line: Any = {"color": GREY, "linewidth": 0.9, "linestyle": DASHED}
        axes.axhline(bound, label="least + 1 s.e.", **line)
    texts = []
    for penalty, value, terms in zip(x, mean, curve["terms"], strict=True):
        kept = f"{terms:.3g} {'term' if terms == 1 else plural('term')}"
        texts.append(f"penalty {number(penalty)}: mean squared error {number(value)}, {kept}")
    say_along([axes], x, texts)
    _scale(axes, x)
    _mark(axes, curve, 0.98)
    axes.set_title("Mean squared error out of sample", pad=26)
    _legend(axes)


def _scale(axes: Any, x: np.ndarray) -> None:
    """A logarithmic axis from the largest penalty to the least."""
    axes.set_xscale("log")
    low = float(x.min())
    high = float(x.max())
    if low < high:
        axes.set_xlim(high, low)
    power_of_low = np.log10(low)
    first = np.floor(power_of_low)
    power_of_high = np.log10(high)
    last = np.ceil(power_of_high)
    ticks = 10.0 ** np.arange(first, last + 1)
    inside = (ticks >= low) & (ticks <= high)
    if inside.sum() < 2:
        ticks = np.outer(ticks, FACTORS).ravel()
        inside = (ticks >= low) & (ticks <= high)
    axes.set_xticks(ticks[inside])
    axes.xaxis.set_major_formatter(_tick_text)
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel("penalty (logarithmic), falling")
    axes.grid(axis="y", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)


def _tick_text(value: float, _: int) -> str:
    """A penalty at a tick, with a minus as long as a plus."""
    written = f"{value:g}"
    return written.replace("-", "−")


def _mark(axes: Any, curve: pd.DataFrame, height: float = 0.02) -> None:
    """A line at each choice, with how many terms it keeps, written at this height of the axes."""
    colours = {}
    for mask, colour in zip(_marks(curve).values(), (ORANGE, BLUE), strict=False):
        at_mark = mask.to_numpy().argmax()
        row = int(at_mark)
        colours[row] = colour
    for row, colour in colours.items():
        penalty = curve["penalty"].iloc[row]
        terms = curve["terms"].iloc[row]
        axes.axvline(penalty, color=colour, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)
        noun = "term" if terms == 1 else plural("term")
        look: Any = {"color": INK, "fontsize": 7.6, "rotation": 90}
        look["va"] = "top" if height > 0.5 else "bottom"
        place: Any = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
        near_left = 0.06 * len(curve)
        room_at_left = row > near_left
        if colour == BLUE and room_at_left:
            place |= {"xytext": (-2, 0), "ha": "right"}
        else:
            place |= {"xytext": (2, 0), "ha": "left"}
        text = f"{terms:.3g} {noun}"
        axes.annotate(text, (penalty, height), **place, **look)

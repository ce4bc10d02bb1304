"""What pictures say under a pointer: where each text lies, how many there are, and that names are text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.sinks.canvas import axes_at, figure_of, style
from runner.sinks.drawings.hover import (
    MOST_DATES,
    Drawn,
    estimate_texts,
    saved,
    say_along,
    say_at_points,
    say_in_cells,
    say_values,
)
from runner.sinks.markup import HOVER_WIDTH, picture

NAME = '<script>alert("x")</script> & co'


@pytest.fixture
def axes() -> Any:
    """Axes of 4 by 2 inches, from 0 to 10 and 0 to 1, an inch from the left and from the top."""
    with style():
        panel = axes_at(figure_of(4.0, "title"), 1.0, 1.0, 4.0, 2.0)
    panel.set(xlim=(0, 10), ylim=(0, 1))
    return panel


def middle(place: Any) -> tuple[float, float]:
    """In inches from the top left corner, of a figure with 100 pixels to the inch."""
    return (place.left + place.width / 2) / 100, (place.top + place.height / 2) / 100


def test_a_point_is_found_where_it_is_drawn(axes: Any, tmp_path: Path) -> None:
    say_at_points(axes, [5.0, np.nan], [0.25, 0.5], ["here", "nowhere"])
    drawn = saved(axes.figure, tmp_path / "a.png")
    [place] = drawn.places
    assert place.text == "here"
    assert middle(place) == pytest.approx((1.0 + 4.0 * 0.5, 1.0 + 2.0 * 0.75))
    assert (drawn.width, drawn.height) == (900.0, 400.0) and drawn.path.exists()


def test_texts_along_an_axis_fill_it_without_gaps(axes: Any, tmp_path: Path) -> None:
    say_along([axes], [0.0, 4.0, 10.0], ["a", "b", "c"])
    places = saved(axes.figure, tmp_path / "a.png").places
    edges = [(place.left, place.left + place.width) for place in places]
    inches = np.array([[0.0, 2.0], [2.0, 7.0], [7.0, 10.0]]) * 0.4 + 1.0
    np.testing.assert_allclose(edges, 100 * inches, atol=0.51)
    assert {place.height for place in places} == {201.0}


def test_scales_that_are_set_later_count(axes: Any, tmp_path: Path) -> None:
    say_at_points(axes, [10.0], [1.0], ["corner"])
    axes.set_xlim(0, 100)
    [place] = saved(axes.figure, tmp_path / "a.png").places
    assert middle(place)[0] == pytest.approx(1.4)


def test_of_many_dates_so_many_are_taken_evenly(axes: Any, tmp_path: Path) -> None:
    dates = pd.bdate_range("2000-01-03", periods=5_000)
    rows = np.arange(5_000)
    say_values([axes], rows / 500.0, dates, {"x": rows, "gaps": np.where(rows % 2, 1.0, np.nan)})
    texts = [place.text for place in saved(axes.figure, tmp_path / "a.png").places]
    assert len(texts) == MOST_DATES
    assert texts[0].startswith("2000-01-03: x 0")
    assert texts[-1].startswith(f"{dates[-1]:%Y-%m-%d}: x 4,999")
    assert "gaps" in texts[-1] and "gaps" not in texts[0]


def test_cells_are_found_by_row_and_column(axes: Any, tmp_path: Path) -> None:
    axes.set(xlim=(-0.5, 2.5), ylim=(1.5, -0.5))  # as a heat map of two rows
    say_in_cells(axes, [["a", "", "c"], ["d", "e", "f"]])
    places = saved(axes.figure, tmp_path / "a.png").places
    assert [place.text for place in places] == ["a", "c", "d", "e", "f"]
    assert middle(places[-1]) == pytest.approx((1.0 + 4.0 * 5 / 6, 1.0 + 2.0 * 0.75))


def test_estimates_say_what_they_have() -> None:
    rows = pd.DataFrame({"estimate": [1.5, 2.5], "ci_low": [1.0, np.nan], "ci_high": [2.0, np.nan]})
    rows["p_value"] = [0.0001, np.nan]
    assert estimate_texts(["A", "B"], rows) == [
        "A: 1.500, interval 1.000 to 2.000, p < 0.001",
        "B: 2.500",
    ]


def test_names_are_text_in_the_page(axes: Any, tmp_path: Path) -> None:
    say_at_points(axes, [0.0, 10.0], [0.5, 0.5], [NAME, "株式会社" * 40])
    text = picture(saved(axes.figure, tmp_path / "a.png"))
    assert "<script" not in text and "&lt;script&gt;" in text
    begins = [float(x) for x in re.findall(r'<text x="(\d+)"', text)]
    assert all(0 <= x < HOVER_WIDTH for x in begins)


def test_a_picture_that_says_nothing_has_no_layer(axes: Any, tmp_path: Path) -> None:
    text = picture(saved(axes.figure, tmp_path / "a.png"))
    assert "<svg" not in text
    assert "<svg" not in picture(Drawn(tmp_path / "a.png"))

"""How a regression table is laid out: the settings `table` of a spec."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Annotated, Literal

from runner.schema.settings import Count, Share

MOST_DECIMALS = 12
MOST_STARS = 4  # levels of significance


def check_decimals(value: int) -> None:
    """Decimals of a printed number.

    Raises:
        ValueError: more than a double has.
    """
    if value > MOST_DECIMALS:
        raise ValueError(f"allowed: at most {MOST_DECIMALS} decimals")


def check_levels(values: list[float]) -> None:
    """Levels of significance, each once.

    Raises:
        ValueError: too many, or one twice.
    """
    if len(values) > MOST_STARS or len(set(values)) < len(values):
        raise ValueError(f"allowed: at most {MOST_STARS} different levels, or [] for no stars")


def check_format(value: str) -> None:
    """A format that can be written here.

    Raises:
        ValueError: python-docx is not installed.
    """
    if value == "word" and find_spec("docx") is None:
        raise ValueError('Word files need python-docx: pip install "factor-runner[word]"')


Decimals = Annotated[Count, check_decimals]
Levels = Annotated[list[Share], check_levels]
Format = Annotated[Literal["latex", "markdown", "word"], check_format]
Brackets = Literal["se", "t", "ci"]
Columns = Literal["asset", "model"]
Rows = Literal["term", "asset"]


@dataclass(frozen=True)
class TableSettings:
    """How the regression table is laid out.

    Attributes:
        rows: term, a row per coefficient; asset, a row per asset or group, with a column per model.
        columns: asset, a column per asset or group; model, a column per run; null: assets where a
            single run has 2 to 12 of them, else models.
        brackets: below an estimate: se, its standard error; t, its t-statistic; ci, its confidence
            interval.
        stars: levels of significance that add a star each; [] for none.
        labels: how a term, an asset or a model is printed, by its name.
        terms: which coefficients, in this order; null: all, the constant last, and with rows=asset
            the constant of models that explain, else the first regressor.
        digits: decimals; null: those that show two significant digits of the smallest standard
            error of a row, the same in all columns.
        notes: sentences below the table, after those on errors and stars.
        title: above the table; null: what is regressed.
        formats: files that are written beside the page: latex, markdown, word.
    """

    rows: Rows = "term"
    columns: Columns | None = None
    brackets: Brackets = "se"
    stars: Levels = field(default_factory=lambda: [0.1, 0.05, 0.01])
    labels: dict[str, str] = field(default_factory=dict)
    terms: list[str] | None = None
    digits: Decimals | None = None
    notes: list[str] = field(default_factory=list)
    title: str | None = None
    formats: list[Format] = field(default_factory=lambda: ["latex", "markdown"])

    @property
    def mistakes(self) -> list[str]:
        """What was given with what it cannot go with."""
        if self.rows == "asset" and self.columns == "asset":
            return ["table.columns: asset given with rows=asset; allowed: model, or rows=term"]
        return []

"""Which p-values deserve a verdict: those of errors that allow for what the data share, and that
rest on enough clusters for t(G-1); how few clusters a regression has, and what errors help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runner.estimators.standard_errors import suited
from runner.text import count, significance, unit_noun

if TYPE_CHECKING:
    import pandas as pd

    from runner.estimators.settings import RegressionSettings

# Cameron and Miller (2015) name 20 to 50 by how unlike the clusters are; `docs/inference.md` has
# the rejection rates of our own tests.
ENOUGH = 30


class Few(NamedTuple):
    """The fewest clusters that a regression of a run rests on.

    Attributes:
        number: how many they are.
        way: what they are of: asset, date or a label such as sector.
        unit: the regression that has them.
        units: how many regressions have fewer than ENOUGH.
    """

    number: int
    way: str
    unit: str
    units: int

    @property
    def words(self) -> str:
        """How many they are: 7 assets, 5 clusters by sector."""
        if self.way in ("asset", "date"):
            return count(self.number, self.way)
        return f"{count(self.number, 'cluster')} by {self.way}"

    @property
    def without_verdict(self) -> str:
        """What is said instead of how significant an estimate is."""
        return f"without a verdict: {self.words} are too few for a test"


def few_clusters(quality: pd.DataFrame) -> Few | None:
    """The fewest clusters among the regressions of a table of quality; None where all have enough.

    Tables of runs that were logged before clusters were counted say nothing of them.
    """
    if "clusters" not in quality:
        return None
    are_few = quality["clusters"].astype(float) < ENOUGH
    rows = quality[are_few].sort_values("clusters", kind="stable")
    if rows.empty:
        return None
    row = rows.iloc[0]
    number = int(row["clusters"])
    return Few(number, str(row["clusters_by"]), str(row["unit"]), len(rows))


def for_a_verdict(table: pd.DataFrame, quality: pd.DataFrame) -> pd.Series:
    """The p-values of a table that deserve a verdict; NaN of the others.

    Sentences, stars and marks of coefficients ask it. None of a run does whose errors take as
    independent what is not; of one with few clusters, those of the regressions that have enough,
    and the mean over regressions, which has an error of its own.

    Args:
        table: with the columns `scope`, `unit` and `p_value`.
        quality: of the run. That of an earlier version has no column `doubt` or `clusters`: then
            no p-value is withheld for it.
    """
    p_values = table["p_value"]
    if doubt_of(quality):
        return p_values.mask(p_values.notna())
    if "clusters" not in quality:
        return p_values
    are_few = quality["clusters"].astype(float) < ENOUGH
    units = quality.loc[are_few, "unit"]
    rests_on_few = table["unit"].isin(units) & (table["scope"] != "mean")
    return p_values.mask(rests_on_few)


def doubt_of(quality: pd.DataFrame) -> str:
    """Why the errors of a run support no verdict, whatever clusters they have; else empty."""
    if "doubt" not in quality:
        return ""
    doubts = quality["doubt"].dropna().astype(str)
    return next((doubt for doubt in doubts.unique() if doubt), "")


def without_verdict(quality: pd.DataFrame) -> str:
    """What is said instead of how significant an estimate is; empty where that is said."""
    doubt = doubt_of(quality)
    if doubt:
        return f"without a verdict: {doubt}"
    few = few_clusters(quality)
    return few.without_verdict if few else ""


def withheld(quality: pd.DataFrame) -> str:
    """In which regressions verdicts of tests are withheld, and why; empty where in none."""
    few = few_clusters(quality)
    if few is None or doubt_of(quality) or few.units == len(quality):
        return without_verdict(quality)
    regressions = f"{few.units} of {count(len(quality), 'regression')}"
    return f"in {regressions} {few.without_verdict}"


def note_without_verdict(quality: pd.DataFrame) -> str:
    """The same of a picture none of whose p-values deserves one."""
    doubt = doubt_of(quality)
    return f"no verdict: {doubt}" if doubt else "too few clusters for a verdict"


def significance_of(rows: pd.DataFrame, quality: pd.DataFrame, noun: str) -> str:
    """In how many units a term is significant, of those that rest on enough clusters.

    Args:
        rows: of the term, with the columns `scope`, `unit`, `estimate` and `p_value`.
        noun: the units in the plural.
    """
    tested = rows.dropna(subset="p_value")
    if tested.empty:
        return "is without tests"
    judged = tested[for_a_verdict(tested, quality).notna()]
    if doubt_of(quality):
        return f"is {without_verdict(quality)}"
    if judged.empty:
        return f"is without a verdict, on too few clusters in each {unit_noun(rows)}"
    return significance(judged, noun) + without_verdict_in(len(tested) - len(judged))


def without_verdict_in(units: int) -> str:
    """The end of a sentence on several units: how many of these rest on too few clusters."""
    return f"; without a verdict in {units:,}, on too few clusters" if units else ""


def what_helps(model: RegressionSettings, few: Few, dates: int, horizon: int) -> str:
    """Errors that rest on more clusters and allow for as much, as overrides.

    Args:
        dates: how many dates the regression has.
        horizon: rows that the target looks ahead.
    """
    if few.way == "date" or dates < ENOUGH:
        return "more of them would help"
    if model.estimator == "ols":
        by_date = suited("pooled", lambda errors: errors.shocks and errors.serial)
        return f"use model.cov={by_date} model.clusters=[]"
    if horizon < 2:
        return "use model.clusters=[date]"
    return "more of them would help"

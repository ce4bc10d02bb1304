"""The covariances of estimates by name: what each allows for, its regressions, and its words.

Adding a covariance = one entry of ERRORS. The allowed names of `model.cov`, what goes with what,
the lags, the advice and the words of a report all follow from it; a name that is not here is
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Literal, NamedTuple

from runner.errors import UnknownNameError, listed, unknown

Kind = Literal["asset", "date", "pooled"]  # a regression over time, over assets, or over both


class Estimated(NamedTuple):
    """A covariance of estimates.

    Attributes:
        V: (k, k); df: degrees of freedom of its t.
        zeroed: how many negative eigenvalues were set to zero.
        clusters: how many sums of scores V rests on, of each way of clustering.
    """

    V: Any
    df: float
    zeroed: int = 0
    clusters: tuple[int, ...] = ()


@dataclass(frozen=True)
class Errors:
    """One covariance of estimates: where it can be had, how it is made, and its words.

    Attributes:
        allows: what the errors allow for, in words that go on after "HC0 errors".
        by: the kinds of regression that can have them.
        across: what residuals are divided by where the regressions of several units are tested
            together: nothing (HC0), the root of 1 - leverage (HC2), or 1 - leverage (HC3).
        of: covariance (k, k) of one least-squares fit and a number of lags; Student's t with n - k
            degrees. None where scores have to be summed over assets or dates first.
        of_pool: of a pooled regression, its lags and the codes of its clusters.
        of_logit: covariance (k, k) of a logit likewise, whose statistics are normal; None where it
            cannot have them.
        convention, convention_of_logit: the covariance in words, with `{name}`, `{lags}` and
            `{clusters}`.
        distribution: of a statistic of least squares; that of a logit is normal.
        lagged: whether there are lags: Bartlett weights.
        clustered: whether clusters are named.
        beside_effects: whether they hold beside fixed effects.
        shocks, serial, unequal: whether they allow for shocks that assets of a date share, for
            serial correlation up to the lags, and for unequal variances; clusters of dates or
            assets do so by what they are.
    """

    allows: str
    by: tuple[Kind, ...]
    across: Literal["HC0", "HC2", "HC3"]
    of: Callable[[Any, int], Any] | None = None
    of_pool: Callable[[Any, int, Sequence[Any]], Estimated] | None = None
    of_logit: Callable[[Any, int, Sequence[Any]], Any] | None = None
    convention: str = "{name}"
    convention_of_logit: str = "{name} (sandwich, no small-sample factor)"
    distribution: str = "t(n-k)"
    lagged: bool = False
    clustered: bool = False
    beside_effects: bool = True
    shocks: bool = False
    serial: bool = False
    unequal: bool = True

    def words(self, name: str, lags: str, clusters: Sequence[str], logit: bool) -> str:
        """The covariance with its conventions: name, weights, factor and distribution."""
        convention = self.convention
        distribution = self.distribution
        if logit:
            convention = self.convention_of_logit
            distribution = "normal"
        covariance = convention.format(name=name, lags=lags, clusters=" and ".join(clusters))
        return f"{covariance}, {distribution}"


def _lazy(module: str, name: str, *more: Any) -> Callable[..., Any]:
    """The function of that name; its module, which needs scipy, is imported at the first call."""

    def run(*values: Any) -> Any:
        loaded = import_module(f"runner.{module}")
        function = getattr(loaded, name)
        return function(*values, *more)

    return run


EVERY: tuple[Kind, ...] = ("asset", "date", "pooled")
UNEQUAL = "allow for heteroskedasticity, and assume independent rows"

ERRORS: dict[str, Errors] = {
    "nonrobust": Errors(
        "assume equal variances and independent rows, which assets of one date seldom are",
        by=EVERY,
        across="HC3",
        unequal=False,
        of=_lazy("numerics.covariance", "nonrobust"),
        of_logit=_lazy("estimators.logit", "inverse_hessian"),
        convention="classical (equal variances, independent rows)",
        convention_of_logit="classical (inverse Hessian)",
    ),
    "HC0": Errors(
        UNEQUAL,
        by=EVERY,
        across="HC0",
        of=_lazy("numerics.covariance", "hc0"),
        of_pool=_lazy("estimators.clusters", "white", "HC0"),
        of_logit=_lazy("estimators.logit", "white"),
    ),
    "HC1": Errors(
        UNEQUAL,
        by=EVERY,
        across="HC0",
        of=_lazy("numerics.covariance", "hc1"),
        of_pool=_lazy("estimators.clusters", "white", "HC1"),
    ),
    "HC2": Errors(
        UNEQUAL,
        by=EVERY,
        across="HC2",
        of=_lazy("numerics.covariance", "hc2"),
        of_pool=_lazy("estimators.clusters", "white", "HC2"),
        beside_effects=False,
    ),
    "HC3": Errors(
        UNEQUAL,
        by=EVERY,
        across="HC3",
        of=_lazy("numerics.covariance", "hc3"),
        of_pool=_lazy("estimators.clusters", "white", "HC3"),
        beside_effects=False,
    ),
    "HAC": Errors(
        "allow for heteroskedasticity, and for serial correlation up to their lags",
        by=("asset",),
        across="HC0",
        of=_lazy("numerics.covariance", "hac"),
        of_logit=_lazy("estimators.logit", "hac"),
        convention="HAC (Newey-West, Bartlett, {lags}, no small-sample factor)",
        convention_of_logit="HAC (Newey-West, Bartlett, {lags}, no small-sample factor)",
        lagged=True,
        serial=True,
    ),
    "cluster": Errors(
        "allow for heteroskedasticity and for correlation within a cluster",
        by=("pooled",),
        across="HC0",
        of_pool=_lazy("estimators.clusters", "clustered"),
        of_logit=_lazy("estimators.logit", "clustered"),
        convention="clustered by {clusters} (factor G/(G-1) (n-1)/(n-k))",
        convention_of_logit="clustered by {clusters} (factor G/(G-1) (n-1)/(n-k))",
        distribution="t(G-1)",
        clustered=True,
    ),
    "driscoll_kraay": Errors(
        "allow for heteroskedasticity, common shocks, and serial correlation up to their lags",
        by=("pooled",),
        across="HC0",
        of_pool=_lazy("estimators.clusters", "driscoll_kraay"),
        convention="Driscoll-Kraay (Bartlett, {lags}, factor n/(n-k))",
        distribution="t(dates-1)",
        lagged=True,
        shocks=True,
        serial=True,
    ),
}


def own(name: str) -> Callable[[Any, int], Any]:
    """The covariance (k, k) of that name, of one least-squares fit and a number of lags.

    Raises:
        UnknownNameError: there is none of that name, or it needs scores summed over assets or
            dates.
    """
    covariance = ERRORS[name].of if name in ERRORS else None
    if covariance is None:
        allowed = where(lambda errors: errors.of is not None)
        raise UnknownNameError(unknown(name, allowed))
    return covariance


CALLED = {
    "nonrobust": "classical",
    "HAC": "Newey-West",
    "cluster": "clustered",
    "driscoll_kraay": "Driscoll-Kraay",
}  # in sentences; the others have the name of the setting


def called(name: str) -> str:
    """What the field calls these standard errors."""
    return CALLED.get(name, name)


OTHER_NAMES = {
    "ols": "nonrobust",
    "iid": "nonrobust",
    "homoskedastic": "nonrobust",
    "classical": "nonrobust",
    "white": "HC0",
    "robust": "HC1",
    "newey_west": "HAC",
    "nw": "HAC",
    "clustered": "cluster",
    "petersen": "cluster",
    "dk": "driscoll_kraay",
}  # of the literature and of other programs, in small letters
TWO_WAYS = ("twoway", "two_way", "2way", "double", "double_cluster", "multiway", "cgm")


def unknown_errors(name: str) -> str:
    """That this name is none of ERRORS, and which it is here where others call one so."""
    folded = name.casefold().replace("-", "_")
    if folded in TWO_WAYS:
        mend = "model=pooled model.cov=cluster model.clusters=[asset,date]"
        return f"{name!r} is unknown; allowed: {listed(ERRORS)}; two ways of clustering are {mend}"
    if folded not in OTHER_NAMES:
        return unknown(name, ERRORS)
    return f"{name!r} is unknown; allowed: {listed(ERRORS)}; it is {OTHER_NAMES[folded]!r} here"


def check_errors(name: str) -> None:
    """A name of ERRORS.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in ERRORS:
        raise UnknownNameError(unknown_errors(name))


def check_own_errors(name: str) -> None:
    """A name of ERRORS of a regression by itself, over time.

    Raises:
        UnknownNameError: there is none of that name.
    """
    own(name)


def where(has: Callable[[Errors], bool]) -> list[str]:
    """The names of the covariances that have something, in the order of the table."""
    return [name for name, errors in ERRORS.items() if has(errors)]


def suited(kind: Kind, has: Callable[[Errors], bool]) -> str:
    """Name of the first covariance in the table that such a regression can have, and has something.

    It is what a report advises, such as `suited("asset", lambda errors: errors.serial)`.
    """
    return where(lambda errors: kind in errors.by and has(errors))[0]


Covariance = Annotated[str, check_errors]
OwnCovariance = Annotated[str, check_own_errors]

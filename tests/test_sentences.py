"""Thirty drawn specs: every sentence of the reading is of a known pattern, and says what the tables say."""

from __future__ import annotations

import random
from functools import cache

import pytest
import sentences_of_analyses
import sentences_of_data  # noqa: F401 (its patterns)
from sentences import (
    PATTERNS,
    allows_for_overlap,
    clusters_by_hand,
    parse,
    setting,
    trains_on_later,
)

from runner.cli.composition import Composer
from runner.experiment.reading import sections
from runner.experiment.report import Report
from runner.experiment.run import run

SPECS = 30
PORTFOLIOS = [
    "NoDur",
    "Durbl",
    "Manuf",
    "Enrgy",
    "BusEq",
    "S1V1",
    "S1V3",
    "S1V5",
    "S3V1",
    "S3V3",
    "S3V5",
    "S5V1",
    "S5V3",
    "S5V5",
    "S1M1",
    "S1M5",
]
OF_ANALYSES = {  # by function, its module and settings
    "performance": ("performance", ""),
    "style_box": ("performance", ""),
    "nested": ("nested", "regressors:[MktRF]"),
    "equality": ("equality", ""),
    "influence": ("influence", ""),
    "stability": ("stability", "draws:199"),
    "cusum": ("stability", ""),
    "rolling_loadings": ("stability", "window:120,step:40"),
    "coefficients_by_fold": ("fold_stability", ""),
    "information": ("information", ""),
    "regimes": ("regimes", "by:MktRF,thresholds:[-0.02,0.03]"),
    "target_by_group": ("by_group", ""),
}
ON_PORTFOLIOS = [
    "performance",
    "style_box",
    "nested",
    "influence",
    "stability",
    "cusum",
    "rolling_loadings",
    "regimes",
]
ERRORS = ["nonrobust", "HC0", "HC3", "HAC"]
POOLED_ERRORS = [
    "model.cov=nonrobust",
    "model.cov=HC1",
    "model.cov=driscoll_kraay",
    "model.cov=driscoll_kraay model.cov_lags=2",
    "model.cov=cluster model.clusters=[asset]",
    "model.cov=cluster model.clusters=[date]",
    "model.cov=cluster model.clusters=[asset,date]",
]
STOCK_FOLDS = [
    "validation=none",
    "validation=kfold validation.folds=3",
    "validation=walk_forward validation.first=100 validation.test=40",
]
SHAPES = ["plain", "twin", "plain", "many", "short"]
FOLDS = [
    "validation=none",
    "validation=holdout_2000",
    "validation=walk_forward validation.first=120 validation.test=60",
    "validation=walk_forward validation.first=120 validation.test=60 validation.holdout=24",
    "validation=kfold validation.folds=4",
    "validation=combinatorial validation.groups=4",
]


def analysis(name: str) -> str:
    module, settings = OF_ANALYSES[name]
    more = f",{settings}" if settings else ""
    return f"+analyses.{name}={{_target_:runner.analyses.{module}.{name}{more}}}"


def portfolios(draw: random.Random, shape: str) -> list[str]:
    """Least squares by asset on the factors of French, monthly; some with many, few or collinear columns and rows."""
    some = draw.sample(PORTFOLIOS, draw.choice([1, 2, 5, 5, 16]))
    words = ["data=french", f"data.assets=[{','.join(some)}]", f"model.cov={draw.choice(ERRORS)}"]
    words += [
        "features=candidates"
        if shape == "many"
        else draw.choice(["features=ff3", "features=ff3_momentum"])
    ]
    words += [f"data.start={'2016-01-01' if shape == 'short' else '1985-01-01'}"]
    words += ["+features.twin='MktRF + 0.05 * RF'"] * (shape in ("twin", "short"))
    words += [] if shape == "short" else draw.choice(FOLDS).split()
    words += ["model.hypotheses=['const = 0','SMB = 0, HML = 0']"] * draw.randint(0, 1)
    words += [draw.choice(["audit=off", "audit=tag"])]
    if draw.random() < 0.3:
        words += ["target=forward_return", f"target.horizon={draw.choice([1, 3])}"]
        allowed = ["influence", "nested"]
        words += ["model.cov_lags=1"] * ("model.cov=HAC" in words)
    else:
        words += [
            draw.choice(
                ["target=excess_return", "target=excess_return", "target=same_period_return"]
            )
        ]
        allowed = list(ON_PORTFOLIOS)
    if shape in ("short", "many"):
        return [*words, analysis("nested")]
    allowed += ["equality"] * (len(some) > 1)
    if len(some) > 4 and any("holdout_2000" in word or "walk" in word for word in words):
        words.append(analysis("information"))
    if any("walk_forward" in word for word in words):
        words.append(analysis("coefficients_by_fold"))
    return [*words, *map(analysis, sorted(draw.sample(allowed, min(len(allowed), 3))))]


def stocks(draw: random.Random) -> list[str]:
    """Pooled, by date or by group on simulated stocks, some of which list late."""
    words = [
        "data=simulated",
        f"data.assets={draw.choice([6, 12])}",
        "data.rows=260",
        "data.sectors=3",
        "features=premia",
    ]
    words += [
        f"data.seed={draw.randint(0, 99)}",
        "data.churn=0.3",
        "target=forward_return",
        "audit=off",
    ]
    words += [f"target.horizon={draw.choice([1, 5])}"]
    words += draw.choice(STOCK_FOLDS).split()
    by = draw.choice(["null", "null", "date", "sector", "asset"])
    words.append(f"model.by={by}")
    words += draw.choice(POOLED_ERRORS).split() if by in ("null", "sector") else []
    words += [analysis("target_by_group")] * draw.randint(0, 1)
    return words + [analysis("equality")] * (by in ("sector", "asset")) * draw.randint(0, 1)


def others(draw: random.Random, kind: str) -> list[str]:
    """Penalised, two-pass and logit regressions."""
    if kind == "penalised":
        some = draw.sample(PORTFOLIOS, draw.choice([1, 2]))
        words = [
            "data=french",
            f"data.assets=[{','.join(some)}]",
            "data.start=2000-01-01",
            "features=ff3",
        ]
        words += [f"model={draw.choice(['lasso', 'elastic_net'])}", "model.penalties=8"]
        return [
            *words,
            f"model.choice={draw.choice(['one_se', 'min'])}",
            "target=excess_return",
            "audit=off",
        ]
    if kind in ("fama_macbeth", "shanken"):
        some = draw.choice(["null", f"[{','.join(PORTFOLIOS[:9])}]"])
        words = [
            "data=french",
            f"data.assets={some}",
            "data.start=1990-01-01",
            "features=ff3",
            "audit=off",
        ]
        return [
            *words,
            "target=excess_return",
            "model=two_pass",
            f"model.cov={kind}",
        ]
    words = [
        "data=arch",
        "features=lagged_returns",
        "target=up",
        f"target.horizon={draw.choice([1, 3])}",
    ]
    words += ["model=logit", "data.start=2016-01-01", "audit=off"]
    words += [draw.choice(["validation=holdout_2017", "validation=none"])]
    return words + ["model.by=null"] * (kind == "logit_pooled")


def drawn(number: int) -> list[str]:
    """The words of a command line: half of them portfolios, a third stocks, a sixth other models."""
    draw = random.Random(number)
    if number % 2 == 0:
        return ["experiment=none", *portfolios(draw, SHAPES[number // 2 % len(SHAPES)])]
    if number % 6 == 3:
        kind = ["penalised", "fama_macbeth", "logit", "logit_pooled", "shanken"][number // 6]
        return ["experiment=none", *others(draw, kind)]
    return ["experiment=none", *stocks(draw)]


SIMULATED = "experiment=none data=simulated data.rows=260 data.sectors=3 features=premia target=forward_return"
FRENCH = (
    "experiment=none data=french data.start=2005-01-01 features=ff3 target=excess_return audit=off"
)
WALK = "validation=walk_forward validation.first=40 validation.test=20"
EDGES = {  # what drawn specs seldom say, and a spec that does
    "Hypotheses: hypothesis_untested": [
        *f"{FRENCH} target=forward_return data.assets=[S1V1]".split(),
        "model.hypotheses=['MktRF = 1 if horizon = 0']",
    ],
    "Look-ahead audit: not_audited": [
        *f"{SIMULATED} audit=tag data.assets=4 model.by=null allow=[edges]".split(),
        "+features.late={_target_:edges.of_long_history}",
    ],
    "Look-ahead audit: without_data": [
        *f"{SIMULATED} audit=tag data.assets=4 model.by=null allow=[edges]".split(),
        "+features.day={_target_:edges.calendar_day}",
    ],
    "Out of sample: not_forecast": f"{SIMULATED} audit=off data.assets=12 data.churn=1.0 {WALK}".split(),
    "Diagnostics: few_distinct_values": [
        *f"{SIMULATED} audit=off data.assets=4 ~target allow=[edges]".split(),
        "+target={_target_:edges.rounded_return}",
    ],
    "Fit: nearly_the_target": f"{FRENCH} data.assets=[S1V1] +features.own=ret".split(),
    "Out of sample: hold_out_of_the_example": [
        *[
            "data=simulated",
            "data.assets=8",
            "data.rows=300",
            "features=premia",
            "target=forward_return",
            "audit=off",
        ],
    ],
    "Rows: rows_common": f"{SIMULATED} audit=off model.regressors=[mom_1m] model.rows=common".split(),
    "Rows: rows_own": f"{SIMULATED} audit=off model.regressors=[mom_1m]".split(),
    "coefficients_by_fold: one_fold": [
        *f"{FRENCH} data.start=1995-01-01 validation=holdout_2000 data.assets=[S1V1]".split(),
        analysis("coefficients_by_fold"),
    ],
    "cusum: cusum_untested": [
        *f"{SIMULATED} audit=off data.assets=12 data.churn=1.0 data.rows=120 target=same_period_return".split(),
        analysis("cusum"),
    ],
    "information: no_ic": [
        *f"{SIMULATED} audit=off data.assets=4 data.churn=0.9 model.by=null {WALK}".split(),
        analysis("information"),
    ],
    "path: at_an_end": [
        *f"{FRENCH} data.assets=[S1V1] target=forward_return model=lasso model.penalties=8".split(),
    ],
    "pricing: betas_mislead": [
        *f"{FRENCH} data.assets=[{','.join(PORTFOLIOS[:9])}] model=two_pass".split(),
        *["model.constant=false", "model.regressors=[MktRF]"],
    ],
    "regimes: empty_regimes": [
        *f"{FRENCH} data.assets=[S1V1]".split(),
        "+analyses.regimes={_target_:runner.analyses.regimes,by:MktRF,thresholds:[-0.9,0.03]}",
    ],
    "style_box: style_of_one": [*f"{FRENCH} data.assets=[S1V5]".split(), analysis("style_box")],
}


@cache
def composer() -> Composer:
    return Composer()


def reported(number: int) -> Report:
    experiment = composer().job(drawn(number)).experiment
    return run(experiment)


SUBJECTS = (
    "Data",
    "Coefficients",
    "Standard errors",
    "Fit",
    "Hypotheses",
    "Out of sample",
    "Diagnostics",
    "Look-ahead audit",
    "Rows",
    "Left out",
)


def read_back(report: Report) -> set[str]:
    """The patterns of the sentences of a report, each of which agrees with the tables."""
    found, by_subject = set(), sections(report)
    for name, finding in report.findings.items():
        own = by_subject.pop(name.replace("_", " ").capitalize(), [])
        assert own == list(finding.words)
        about = sentences_of_analyses.About(
            report, finding.table, dict(report.spec["analyses"].get(name) or {})
        )
        found |= {f"{name}: {parse(name, sentence, about)}" for sentence in own}
    assert set(by_subject) <= set(SUBJECTS)
    for subject, sentences in by_subject.items():
        assert len(set(sentences)) == len(sentences)
        found |= {f"{subject}: {parse(subject, sentence, report)}" for sentence in sentences}
    return found


def told(report: Report, subject: str) -> str:
    return "\n".join(sections(report).get(subject, []))


def nothing_is_kept_back(report: Report, patterns: set[str]) -> None:
    """What a reader must be told is told."""
    coefficients = report.fit.coefficients
    units = coefficients[(coefficients["scope"] != "mean") & coefficients["estimate"].notna()]
    lines = sections(report).get("Coefficients", [])
    zero = (
        units.groupby("term", sort=False)["estimate"].transform(lambda b: (b == 0.0).all())
        & units["p_value"].isna()
    )
    assert zero.any() == ("Coefficients: set_to_zero" in patterns)
    for term in units.loc[~zero, "term"].unique()[:20]:
        assert sum(line.startswith((f"{term}: ", f"{term} is ")) for line in lines) == 1, term
    tested = units["p_value"].notna().any() and set(units["scope"]) != {"date"}
    overlap = {
        "Standard errors: overlap_is_ignored",
        "Standard errors: overlap_is_longer_than_the_lags",
    } & patterns
    assert bool(overlap) == (
        bool(tested) and report.panel.horizon > 1 and not allows_for_overlap(report)
    )
    pooled = (
        tested and setting(report, "by") not in ("asset", "date") and len(report.panel.assets) > 1
    )
    alike = setting(report, "cov") != "driscoll_kraay" and "date" not in setting(
        report, "clusters", []
    )
    assert ("Standard errors: assets_taken_as_independent" in patterns) == bool(pooled and alike)
    is_clustered = setting(report, "cov") in ("cluster", "driscoll_kraay") and tested
    few = is_clustered and min(clusters_by_hand(report).values())[0] < 30
    assert ("Standard errors: few_clusters_reject_too_often" in patterns) == bool(few)
    assert told(report, "Hypotheses").count("\n") + 1 == max(
        report.fit.hypotheses["hypothesis"].nunique(), 1
    )
    found = {name.partition(": ")[2] for name in patterns if name.startswith("Out of sample")}
    assert "r2_out_of_sample" in found or "nothing_held_out" in found
    kind = (
        "explains"
        if report.kind == "explanatory"
        else "fits_on_later_rows"
        if trains_on_later(report)
        else "forecasts"
    )
    assert kind in found
    assert ("Left out" in sections(report)) == (
        len(report.dropped) > 0 or bool((report.fit.quality["reason"] != "").any())
    )


def _always(number: int) -> bool:
    """The first half, which has every shape, and one spec of each kind of the others."""
    return number < SPECS // 2 or number % 6 == 3


@pytest.mark.parametrize(
    "number",
    [
        number if _always(number) else pytest.param(number, marks=pytest.mark.slow)
        for number in range(SPECS)
    ],
)
def test_every_sentence_says_what_the_tables_say(number: int) -> None:
    report = reported(number)
    patterns = read_back(report)
    nothing_is_kept_back(report, patterns)
    SEEN.setdefault(number, patterns)


SEEN: dict[int, set[str]] = {}


@pytest.mark.parametrize("pattern", EDGES)
def test_what_drawn_specs_seldom_say_is_said_by_a_spec_of_its_own(pattern: str) -> None:
    report = run(composer().job(EDGES[pattern]).experiment)
    assert pattern in read_back(report)


def test_every_sentence_that_can_be_said_is_said() -> None:
    if len(SEEN) < SPECS:
        pytest.skip("only some of the specs were run")
    said = set().union(*SEEN.values())
    every = {f"{subject}: {name}" for subject, known in PATTERNS.items() for name, *_ in known}
    unsaid = every - said
    assert not unsaid - set(EDGES), "; ".join(sorted(unsaid - set(EDGES)))

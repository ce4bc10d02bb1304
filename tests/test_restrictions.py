"""Hypotheses as they are written in a spec: what is understood, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK, close

from runner.cli.composition import Composer
from runner.errors import SpecError
from runner.experiment.reading import sections
from runner.experiment.run import run
from runner.numerics.restrictions import Restriction, all_slopes, hypothesis, names_in, restriction

TERMS = ["const", "SMB", "HML", "MOM"]


@pytest.mark.parametrize(
    ("text", "R", "q"),
    [
        ("SMB = 0", [[0, 1, 0, 0]], [0]),
        ("const = 0", [[1, 0, 0, 0]], [0]),
        ("SMB = 1", [[0, 1, 0, 0]], [1]),
        ("1 = SMB", [[0, -1, 0, 0]], [-1]),
        ("  SMB=-1.5 ", [[0, 1, 0, 0]], [-1.5]),
        ("SMB = 1e-3", [[0, 1, 0, 0]], [0.001]),
        ("-SMB = 2", [[0, -1, 0, 0]], [2]),
        ("SMB + HML = 1", [[0, 1, 1, 0]], [1]),
        ("SMB = HML", [[0, 1, -1, 0]], [0]),
        ("SMB + 1 = HML - 2", [[0, 1, -1, 0]], [-3]),
        ("2*SMB - HML*3 = 4", [[0, 2, -3, 0]], [4]),
        ("2 * (SMB - 3*(HML + 1)) = 0", [[0, 2, -6, 0]], [6]),
        ("-(SMB - -HML) = 0", [[0, -1, -1, 0]], [0]),
        ("(SMB + HML) / 2 = MOM / 4", [[0, 0.5, 0.5, -0.25]], [0]),
        ("SMB * (1 + 2) / 3 = 2 * 3", [[0, 1, 0, 0]], [6]),
        ("SMB + SMB = 1", [[0, 2, 0, 0]], [1]),
        ("SMB + 0*HML = 1", [[0, 1, 0, 0]], [1]),
        ("SMB = 0, HML = 1", [[0, 1, 0, 0], [0, 0, 1, 0]], [0, 1]),
        (
            "SMB = HML, HML = MOM, MOM = const",
            [[0, 1, -1, 0], [0, 0, 1, -1], [-1, 0, 0, 1]],
            [0, 0, 0],
        ),
        ("SMB = 0, 1e-20*HML = 0", [[0, 1, 0, 0], [0, 0, 1e-20, 0]], [0, 0]),
    ],
)
def test_understood(text: str, R: list[list[float]], q: list[float]) -> None:
    got = restriction(text, TERMS)
    close(got.R, R, "R")
    close(got.q, q, "q")
    assert got.text == text and list(got.terms) == TERMS


EQUATION = "allowed: an equation such as 'SMB = 0' or 'SMB - 2*HML = 1'"
SUMS = "allowed: sums of terms and numbers such as 'SMB + 2*HML'"
PRODUCT = "a product or quotient of terms is not linear; allowed: a number times a term"
FOLLOWS = "an equation is empty or follows from the others"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", EQUATION),
        ("   ", EQUATION),
        ("SMB", EQUATION),
        ("SMB = 0,", EQUATION),
        (", SMB = 0", EQUATION),
        ("SMB = HML = 0", EQUATION),
        ("SMB == 0", EQUATION),
        ("SMB = 0; HML = 0", EQUATION),
        ("SMB =", SUMS),
        ("= 0", SUMS),
        ("SMB <= 0", SUMS),
        ("SMB != 0", SUMS),
        ("SMB := 0", SUMS),
        ("(SMB = 0)", SUMS),
        ("2 SMB = 0", SUMS),
        ("2SMB = 0", SUMS),
        ("SMB.real = 0", SUMS),
        ("SMB[0] = 0", SUMS),
        ("abs(SMB) = 0", SUMS),
        ('__import__("os") = 0', SUMS),
        ('__import__("os").system("true") = 0', SUMS),
        ("(lambda: 0)() = 0", SUMS),
        ("[SMB for SMB in HML] = 0", SUMS),
        ("SMB if HML else MOM = 0", SUMS),
        ("SMB and HML = 0", SUMS),
        ("not SMB = 0", SUMS),
        ("~SMB = 0", SUMS),
        ("SMB**2 = 0", SUMS),
        ("SMB**1 = 0", SUMS),
        ("9**9**9 = SMB", SUMS),
        ("SMB // 2 = 0", SUMS),
        ("SMB % 2 = 0", SUMS),
        ("SMB @ HML = 0", SUMS),
        ("SMB = True", SUMS),
        ("SMB = None", SUMS),
        ("SMB = ...", SUMS),
        ("SMB = '1'", SUMS),
        ("SMB = b'1'", SUMS),
        ("SMB = f'{HML}'", SUMS),
        ("SMB = 1j", SUMS),
        ("SMB # + HML = 0", SUMS),
        ("SMB\0 = 0", SUMS),
        ("SMB = " + "9" * 400, SUMS),
        ("SMB = " + "9" * 5000, SUMS),
        ("-" * 50_000 + "SMB = 0", SUMS),
        ("+".join(["SMB"] * 5000) + " = 0", SUMS),
        ("(" * 500 + "SMB" + ")" * 500 + " = 0", SUMS),
        ("SMB * HML = 0", PRODUCT),
        ("SMB * SMB = 0", PRODUCT),
        ("(SMB + 1) * (HML + 1) = 0", PRODUCT),
        ("1 / SMB = 0", PRODUCT),
        ("SMB / HML = 0", PRODUCT),
        ("SMB / 0 = 1", PRODUCT),
        ("SMB / (1 - 1) = 1", PRODUCT),
        ("SMB = 1e999", "allowed: finite numbers"),
        ("SMB = -1e999", "allowed: finite numbers"),
        ("1e999 * SMB = 0", "allowed: finite numbers"),
        ("SMB = 1e999 - 1e999", "allowed: finite numbers"),
        ("SMB = 1e308 * 10", "allowed: finite numbers"),
        ("0 = 0", FOLLOWS),
        ("1 = 2", FOLLOWS),
        ("0*SMB = 0", FOLLOWS),
        ("SMB - SMB = 0", FOLLOWS),
        ("SMB = 0, SMB = 0", FOLLOWS),
        ("SMB = 0, SMB = 1", FOLLOWS),
        ("SMB = 0, 2*SMB = 0", FOLLOWS),
        ("SMB = HML, HML = MOM, MOM = SMB", FOLLOWS),
        ("inf = SMB", "term 'inf' is unknown; allowed: const, SMB, HML, MOM"),
        ("SMB = nan", "term 'nan' is unknown"),
        ("SMBB = 0", "term 'SMBB' is unknown; allowed: const, SMB, HML, MOM; did you mean 'SMB'?"),
        ("smb = 0", "did you mean 'SMB'?"),
        ("os = 0", "term 'os' is unknown"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        restriction(text, TERMS)
    assert message in str(error.value)


NUMBERS = st.integers(-50, 50).map(lambda i: i / 4)
Drawn = tuple[str, np.ndarray]  # text, its factors on TERMS and last its constant


def number(value: float) -> Drawn:
    return f"{value!r}" if value >= 0 else f"({value!r})", np.append(np.zeros(len(TERMS)), value)


def grown(parts: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    """Sums, differences, negatives, multiples and quotients of linear forms."""
    two = st.tuples(parts, parts)
    multiple = st.tuples(parts, NUMBERS)
    return st.one_of(
        two.map(lambda ab: (f"({ab[0][0]} + {ab[1][0]})", ab[0][1] + ab[1][1])),
        two.map(lambda ab: (f"{ab[0][0]} - ({ab[1][0]})", ab[0][1] - ab[1][1])).map(
            lambda a: (f"({a[0]})", a[1])
        ),
        parts.map(lambda a: (f"-({a[0]})", -a[1])).map(lambda a: (f"({a[0]})", a[1])),
        multiple.map(lambda ac: (f"{number(ac[1])[0]}*({ac[0][0]})", ac[0][1] * ac[1])),
        multiple.map(lambda ac: (f"({ac[0][0]})*{number(ac[1])[0]}", ac[0][1] * ac[1])),
        multiple.filter(lambda ac: ac[1] != 0.0).map(
            lambda ac: (f"({ac[0][0]})/{number(ac[1])[0]}", ac[0][1] / ac[1])
        ),
    )


NAMES = st.sampled_from(range(len(TERMS))).map(lambda j: (TERMS[j], np.eye(len(TERMS) + 1)[j]))
FORMS = st.recursive(st.one_of(NAMES, NUMBERS.map(number)), grown, max_leaves=12)


@QUICK
@given(FORMS, FORMS)
def test_any_linear_form_gives_its_coefficients(left: Drawn, right: Drawn) -> None:
    asked = left[1] - right[1]
    text = f"{left[0]} = {right[0]}"
    size = np.abs(left[1]).max() + np.abs(right[1]).max()
    if np.abs(asked[:-1]).max() <= 1e-12 * size:
        return
    got = restriction(text, TERMS)
    close(got.R[0], asked[:-1], text, rel=0.0, floor=1e-12 * size)
    close(got.q[0], -asked[-1], text, rel=0.0, floor=1e-12 * size)


@QUICK
@given(st.text(alphabet="SMBHL constx0123456789.+-*/()=,_'\"[]{}:;%&|^~!@#\\\n\t", max_size=40))
def test_any_text_is_understood_or_refused_as_a_mistake(text: str) -> None:
    try:
        got = restriction(text, TERMS)
    except ValueError:
        return
    assert np.isfinite(got.R).all() and np.isfinite(got.q).all()
    assert np.linalg.matrix_rank(got.R) == len(got.q)


def test_on_a_regression_with_other_terms() -> None:
    asked = restriction("SMB - 2*HML = 1, MOM = 0", TERMS)
    on = asked.on(["MOM", "HML", "SMB"])
    assert isinstance(on, Restriction)
    close(on.R, [[0, -2, 1], [1, 0, 0]], "columns follow the terms")
    close(on.q, [1, 0], "q")
    assert asked.on(["const", "SMB"]) == "HML, MOM not among the terms of the regression"
    assert isinstance(restriction("SMB + 0*HML = 0", TERMS).on(["SMB"]), Restriction)


def test_all_slopes_leave_the_constant_out() -> None:
    close(all_slopes(["const", "a", "b"]).R, [[0, 1, 0], [0, 0, 1]], "R")
    close(all_slopes(["a", "b"]).R, np.eye(2), "without a constant")
    assert all_slopes(["const"]).R.shape == (0, 1)


def test_a_hypothesis_may_be_stated_for_a_horizon() -> None:
    assert hypothesis("SMB = 0, HML = 0") == ("SMB = 0, HML = 0", None)
    stated = hypothesis("const = 0, MktRF = 1 if horizon = 0")
    assert stated == ("const = 0, MktRF = 1", 0)
    assert stated.unsuited(0) == ""
    assert stated.unsuited(1) == "it is stated for horizon 0, and the target looks 1 row ahead"
    assert hypothesis("SMB = 0 if horizon=21").unsuited(0).endswith("the target looks 0 rows ahead")
    for wrong in (
        "SMB = 0 if horizon",
        "SMB = 0 if horizon = x",
        "SMB = 0 if rows = 3",
        "SMB = 0 if ",
    ):
        with pytest.raises(ValueError, match="a condition such as 'if horizon = 0'"):
            hypothesis(wrong)
    assert (
        names_in("SMB - 2*HML = 1, MOM = 0") == ["SMB", "HML", "MOM"]
        and names_in("no equation") == []
    )


CAPM = ["data=simulated", "data.assets=4", "data.rows=120", "data.end=null"]
CAPM += ["data.churn=0", "validation=none", "report=tables"]
EXPERIMENTS = {"capm": "market_ret = 1", "alpha_signals": "market_ret = 1"}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_loading_of_the_same_row_is_not_tested_with_a_forward_target(experiment: str) -> None:
    words = [
        f"experiment={experiment}",
        "audit=off",
        *CAPM,
        *(["data.macro={vix: V, tlt: T, dxy: D}"] * (experiment != "capm")),
    ]
    same, ahead = (
        run(Composer().job([*words, *more]).experiment) for more in ([], ["target=forward_return"])
    )
    for report, tested in ((same, True), (ahead, False)):
        table = report.fit.hypotheses
        rows = table[table["hypothesis"] == EXPERIMENTS[experiment]]
        assert len(rows) == 4 and rows["p_value"].notna().all() == tested
        others = table[~table["hypothesis"].str.contains("market_ret|GRS")]
        assert len(others) and others["p_value"].notna().all()
    said = " ".join(sections(ahead)["Hypotheses"])
    reason = "it is stated for horizon 0, and the target looks 1 row ahead"
    assert f"market_ret = 1 could not be tested: {reason}." in said


def test_a_hypothesis_of_the_user_is_tested_at_any_horizon() -> None:
    words = [
        "experiment=capm",
        "audit=off",
        *CAPM,
        "target=forward_return",
        'model.hypotheses=["market_ret = 1"]',
    ]
    table = run(Composer().job(words).experiment).fit.hypotheses
    assert table.loc[table["hypothesis"] == "market_ret = 1", "p_value"].notna().all()


def test_a_condition_of_another_kind_is_refused() -> None:
    with pytest.raises(
        SpecError, match=r"model\.hypotheses: 'const = 0 if weekly': allowed after the equations"
    ):
        Composer().job(["experiment=capm", *CAPM, 'model.hypotheses=["const = 0 if weekly"]'])

"""Tables of papers: their numbers are those of coefficients.csv, and of statsmodels and pandas; their names are data."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from conftest import call_cli
from pages import called
from statsmodels.iolib.summary2 import summary_col
from test_compare import AWKWARD
from test_page import Checker
from test_words import NINE, french

from runner.errors import SpecError
from runner.experiment.spec import build, mistakes
from runner.panels.panel import Panel
from runner.record.identity import job_key
from runner.schema.regression_table import TableSettings
from runner.sinks import plots
from runner.sinks.paper import statistics as statistics_of
from runner.sinks.paper.digits import decimals_of, figure
from runner.sinks.paper.layout import regression_table
from runner.sinks.paper.runs import Run, of_report
from runner.sinks.paper.statistics import statistics
from runner.sinks.paper.table import RegressionTable
from runner.sinks.paper.written.html import html
from runner.sinks.paper.written.latex import latex
from runner.sinks.paper.written.markdown import markdown
from runner.sweeps.telling import page as sweep_page

TEXT = files("runner").joinpath("docs/tables.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)
    for line in block.splitlines()
]
EXACT = 1e-12  # relative: both sum some thousand numbers of one size in double precision
HALF = 0.5  # of the last printed decimal


def coefficients(rows: Sequence[tuple[str, str, str, float, float, float]]) -> pd.DataFrame:
    """scope, unit, term, estimate, standard error and p-value as a table of coefficients."""
    table = pd.DataFrame(
        rows, columns=["scope", "unit", "term", "estimate", "std_error", "p_value"]
    )
    table["t_stat"] = table["estimate"] / table["std_error"]
    table["ci_low"] = table["estimate"] - 2.0 * table["std_error"]
    table["ci_high"] = table["estimate"] + 2.0 * table["std_error"]
    return table


OF_QUALITY = ["unit", "n_obs", "r2", "r2_adj", "r2_within", "clusters", "clusters_by"]


def run_of(
    rows: Sequence[tuple[str, str, str, float, float, float]],
    name: str = "x",
    quality: Sequence[Mapping[str, Any]] = (),
    **more: Any,
) -> Run:
    given: dict[str, Any] = {
        "name": name,
        "heading": name,
        "coefficients": coefficients(rows),
        "quality": pd.DataFrame(quality, columns=OF_QUALITY),
        "metrics": {},
        "model": {"cov": "HC1"},
        "errors": "HC1, t(n-k)",
        "horizon": 0,
        "target": "return (decimals per row)",
        "doubts": {},
    }
    return Run(**given | more)


def table_of(runs: Sequence[Run], others: Sequence[Run] = (), **settings: Any) -> RegressionTable:
    table = regression_table(runs, TableSettings(**settings), "run x", others)
    assert table is not None
    return table


TWO_FUNDS = run_of(
    [
        ("asset", "A", "const", 0.0021, 0.00047, 0.0001),
        ("asset", "A", "MktRF", 0.962, 0.0115, 0.0),
        ("asset", "B", "const", -0.0009, 0.00052, 0.085),
        ("asset", "B", "MktRF", -1.25, 0.0251, 0.03),
        ("mean", "all", "const", 0.0006, 0.0015, 0.7),
        ("mean", "all", "MktRF", -0.144, 1.1, 0.9),
    ],
    quality=[
        {"unit": "A", "n_obs": 1819, "r2": 0.9467, "r2_adj": 0.9465},
        {"unit": "B", "n_obs": 819, "r2": 0.8559, "r2_adj": 0.8554},
    ],
    errors="HC1, t(n-k); of the mean: from the standard deviation across assets (ddof 1)",
)


def test_assets_in_columns_as_a_person_would_write_them() -> None:
    expected = r"""**Dependent variable: return (decimals per row)**

|  | A | B |
| :-- | :-: | :-: |
| MktRF | 0.962\*\*\* | -1.250\*\* |
|  | (0.011) | (0.025) |
| Constant | 0.00210\*\*\* | -0.00090\* |
|  | (0.00047) | (0.00052) |
| Observations | 1,819 | 819 |
| R² | 0.947 | 0.856 |
| Adjusted R² | 0.947 | 0.855 |

*Notes:* Standard errors are in parentheses: HC1, t(n-k). \*, \*\* and \*\*\* denote significance at the 10 %, 5 % and 1 % levels, each p-value as if it were the only test.
"""
    # 0.0115 is 0.01149999... in binary: as Python and C print it
    assert markdown(table_of([TWO_FUNDS])) == expected


def pooled(name: str, estimate: float, **model: Any) -> Run:
    settings = {"by": None, "cov": "cluster", "clusters": ["date"], **model}
    quality = [{"unit": "all", "n_obs": 5000, "r2": 0.1, "r2_adj": 0.09, "r2_within": 0.004}]
    if not settings.get("effects"):
        del quality[0]["r2_within"]
    rows = [("pooled", "all", "x", estimate, 0.02, 0.004)]
    return run_of(rows, name, quality, model=settings, errors=f"{settings['cov']} errors")


def test_effects_and_clusters_of_several_models_as_a_person_would_write_them() -> None:
    runs = [
        pooled("one", 0.5),
        pooled("two", 0.25, effects=["asset", "sector*date"], clusters=["asset", "date"]),
        pooled("three", -0.125, cov="driscoll_kraay", clusters=[]),
    ]
    table = table_of(
        runs,
        brackets="t",
        labels={"x": "Momentum", "two": "Fixed effects", "Observations": "N"},
        stars=[0.05],
        notes=["Weekly data."],
        title="Table I",
    )
    assert (
        latex(table)
        == r"""% run x
% needs \usepackage{booktabs}
\begin{table}[htbp]
\centering
\caption{Table I}
\smallskip
\begin{tabular}{lccc}
\toprule
 & (1) & (2) & (3) \\
 & one & Fixed effects & three \\
\midrule
Momentum & 0.500$^{*}$ & 0.250$^{*}$ & $-$0.125$^{*}$ \\
 & (25.00) & (12.50) & ($-$6.25) \\
\midrule
Asset fixed effects & No & Yes & No \\
Sector $\times$ date fixed effects & No & Yes & No \\
Clustered by date & Yes & Yes & No \\
Clustered by asset & No & Yes & No \\
Standard errors & Clustered & Clustered & Driscoll-Kraay \\
N & 5,000 & 5,000 & 5,000 \\
R$^2$ & 0.100 & 0.100 & 0.100 \\
Adjusted R$^2$ & 0.090 & 0.090 & 0.090 \\
Within R$^2$ &  & 0.0040 &  \\
\bottomrule
\end{tabular}
\par\smallskip
\begin{minipage}{\linewidth}
\footnotesize \textit{Notes:} t-statistics are in parentheses. Standard errors. (1), (2): cluster errors; (3): driscoll\_kraay errors. * denotes significance at the 5 \% level, by p-values adjusted by Holm (1979) for 3 tests. Weekly data.
\end{minipage}
\end{table}
"""
    )


def fund_grid() -> list[Run]:
    """Alphas of three funds under two models, the second without the last fund."""
    runs = []
    for at, name in enumerate(("capm", "ff3")):
        funds = [("A", 0.002, 0.0005), ("B", -0.001, 0.001), ("C", 0.01, 0.01)][: 3 - at]
        rows = []
        for unit, estimate, error in funds:
            p = 0.001 if unit == "A" else 0.3
            rows.append(("asset", unit, "const", estimate + at * 1e-4, error, p))
            rows.append(("asset", unit, "MktRF", 1.0, 0.1, 1e-9))
        runs.append(run_of(rows, name))
    return runs


def test_a_grid_of_funds_and_models_as_a_person_would_write_it() -> None:
    table = table_of(
        fund_grid(), rows="asset", brackets="t", terms=["const"], labels={"capm": "CAPM"}
    )
    expected = r"""**Dependent variable: return (decimals per row)**

|  | (1) CAPM | (2) ff3 |
| :-- | :-: | :-: |
| A | 0.00200\*\*\* | 0.00210\*\*\* |
|  | (4.00) | (4.20) |
| B | -0.00100 | -0.00090 |
|  | (-1.00) | (-0.90) |
| C | 0.01000 |  |
|  | (1.00) |  |

*Notes:* t-statistics are in parentheses. Standard errors: HC1, t(n-k). \*, \*\* and \*\*\* denote significance at the 10 %, 5 % and 1 % levels, by p-values adjusted by Holm (1979) for 5 tests.
"""
    assert markdown(table) == expected


def test_a_table_is_that_of_statsmodels() -> None:
    """Estimates, errors, stars, R2 and the order of rows of three regressions, to three decimals."""
    report = french(NINE[:3])
    panel = report.panel
    X = sm.add_constant(pd.DataFrame(panel.X[:, 0], columns=panel.names))
    fits = [sm.OLS(panel.y[:, at], X).fit() for at in range(3)]
    theirs = summary_col(fits, float_format="%.3f", stars=True, model_names=NINE[:3]).tables[0]
    ours = table_of([of_report(report)], digits=3, terms=["const", *panel.names]).frame()
    ours = ours.set_index("")
    assert ours.index.tolist() == [
        name for term in ("Constant", *panel.names) for name in (term, "")
    ] + ["Observations", "R²", "Adjusted R²"]
    k = 2 * len(X.columns)
    assert ours.iloc[:k].to_numpy().tolist() == theirs.iloc[:k].to_numpy().tolist()
    assert ours.loc["R²"].tolist() == theirs.loc["R-squared"].tolist()
    assert ours.loc["Adjusted R²"].tolist() == theirs.loc["R-squared Adj."].tolist()
    assert ours.loc["Observations"].tolist() == [f"{int(fit.nobs)}" for fit in fits]


@pytest.mark.parametrize("brackets", ["se", "t", "ci"])
def test_every_number_is_that_of_the_coefficients(brackets: str) -> None:
    report = french(NINE)
    table = table_of([of_report(report)], brackets=brackets)
    [panel] = table.panels
    own = report.fit.coefficients.set_index(["unit", "term"])
    columns = {"se": ["std_error"], "t": ["t_stat"], "ci": ["ci_low", "ci_high"]}[brackets]
    for line in panel.lines:
        term = line.label.replace("Constant", "const")
        decimals = {len(cell.estimate.partition(".")[2]) for cell in line.cells}
        assert len(decimals) == 1  # the same in every column
        for heading, cell in zip(table.headings, line.cells, strict=True):
            row = own.loc[heading.name, term]
            printed = [cell.estimate, *cell.bracket.strip("()[]").split(", ")]
            for text, value in zip(printed, row[["estimate", *columns]], strict=True):
                digits = len(text.partition(".")[2])
                assert abs(float(text.replace(",", "")) - value) <= HALF * 10.0**-digits * (
                    1 + 1e-9
                )
            assert len(cell.stars) == sum(row["p_value"] < level for level in (0.1, 0.05, 0.01))


@pytest.mark.parametrize(
    ("estimates", "errors", "texts"),
    [
        ([1.5, -0.25], [0.0115, 0.5], ["1.500", "-0.250"]),  # 0.0115: two digits are 0.011
        ([1.5], [0.00996], ["1.500"]),  # rounds to 0.0100
        ([12345.6, 1.0], [250.0, 0.0], ["12,346", "1"]),
        ([0.5, 0.0001], [np.nan, np.nan], ["0.5000", "0.0001"]),  # without errors
        ([2e-12], [1e-13], ["2.000e-12"]),
        ([3e12], [1e11], ["3.000e+12"]),
        ([0.0], [np.nan], ["0.0000"]),
        ([np.nan], [1.0], ["–"]),
    ],
)
def test_one_rule_of_digits(estimates: list[float], errors: list[float], texts: list[str]) -> None:
    decimals = decimals_of(estimates, errors)
    assert [figure(value, decimals) for value in estimates] == texts


def test_what_a_penalty_set_to_zero_is_a_plain_zero() -> None:
    rows = [("asset", "A", "x", 0.5, np.nan, np.nan), ("asset", "A", "z", 0.0, np.nan, np.nan)]
    run = run_of(rows, errors="none, lasso is biased on purpose", model={"cov": "nonrobust"})
    table = table_of([run])
    assert table.frame().to_numpy().tolist() == [["x", "0.5000"], ["z", "0"]]
    assert table.notes == ("Standard errors: none, lasso is biased on purpose.",)


def test_a_logit_has_z_and_the_pseudo_r2_of_mcfadden() -> None:
    run = run_of(
        [("pooled", "all", "x", 1.0, 0.5, 0.04)],
        quality=[{"unit": "all", "n_obs": 90, "r2": 0.5, "r2_adj": 0.4}],
        model={"estimator": "logit", "cov": "nonrobust"},
        metrics={"fit/n_obs": 90.0, "fit/r2": 0.5, "logit/pseudo_r2": 0.123},
        errors="classical (inverse Hessian), normal",
    )
    table = table_of([run], brackets="t")
    assert table.frame().to_numpy().tolist() == [
        ["x", "1.00**"], ["", "(2.00)"], ["Observations", "90"], ["Pseudo R²", "0.123"],
    ]  # fmt: skip
    assert table.notes[0].startswith("z-statistics are in parentheses. Standard errors: classical")


SMALL = 0.001  # a p-value that would have three stars


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (
            {"model": {"cov": "HC3"}, "horizon": 21},
            "No stars: HC3 standard errors ignore that targets over 21 rows overlap.",
        ),
        (
            {"model": {"cov": "HAC", "cov_lags": 5}, "horizon": 21},
            "No stars: Newey-West standard errors have too few lags for targets over 21 rows, which overlap.",
        ),
        ({"model": {"cov": "HAC"}, "horizon": 21}, ""),
        (
            {
                "model": {"cov": "cluster", "clusters": ["date"]},
                "quality": [{"unit": "A", "clusters": 9, "clusters_by": "date"}],
            },
            "No stars: clustered standard errors rest on 9 dates.",
        ),
        ({"model": {"cov": "HC3"}, "horizon": 1}, ""),
        (
            {"doubts": {"x": "too few independent rows (9 dates)", "const": ""}},
            "No stars for x: too few independent rows (9 dates).",
        ),
    ],
)
def test_p_values_without_a_verdict_have_no_stars(run: dict[str, Any], line: str) -> None:
    rows = [("asset", "A", "x", 1.0, 0.1, SMALL), ("asset", "A", "const", 1.0, 0.1, SMALL)]
    table = table_of([run_of(rows, **run)])
    stars = [cell.stars for panel in table.panels for row in panel.lines for cell in row.cells]
    if not line:
        assert stars == ["***", "***"]
    else:
        assert stars[0] == "" and line in table.notes
        assert stars[1] == ("***" if " for x" in line else "")
    assert sum(note.startswith("No stars") for note in table.notes) == bool(line)


def test_groups_that_share_dates_and_means_over_assets_have_no_stars() -> None:
    rows = [("group", unit, "x", 1.0, 0.1, SMALL) for unit in ("Energy", "Tech")]
    table = table_of([run_of(rows, model={"by": "sector", "cov": "HC1"})])
    assert "HC1 standard errors treat the assets of a date as independent." in table.notes[-1]
    clustered = {"by": "sector", "cov": "cluster", "clusters": ["date"]}
    assert "No stars" not in " ".join(table_of([run_of(rows, model=clustered)]).notes)
    mean = table_of([TWO_FUNDS], columns="model")
    assert mean.notes == (
        "Standard errors are in parentheses: from the standard deviation across assets (ddof 1).",
        "No stars: the standard error of a mean over assets treats them as independent.",
    )
    many = run_of(
        [("asset", f"U{at:03d}", "x", 1.0, 0.1, SMALL) for at in range(50)]
        + [("mean", "all", "x", 1.0, 0.1, SMALL)],
        metrics={"fit/units": 50.0, "fit/n_obs": 5e4, "fit/r2": 0.5},
    )
    table = table_of([many])  # too many for a column each
    assert table.frame()[""].tolist() == ["x", "", "Assets", "Observations", "R²"]
    assert (
        table.notes[0] == "Coefficients and R² are averages over assets; observations are summed."
    )
    cut = table_of([many], columns="asset")
    assert len(cut.headings) == 12
    assert cut.notes[-1] == "The first 12 of 50 assets; the CSV files have all."


def test_stars_of_several_models_are_of_p_values_adjusted_for_all() -> None:
    runs = [run_of([("asset", "A", "x", 1.0, 0.1, 0.004)], f"m{at}") for at in range(12)]
    shown = table_of(runs[:2], runs[2:])
    assert shown.frame().iloc[0].tolist() == ["x", "1.00**", "1.00**"]  # 12 x .004
    assert "Holm (1979) for 12 tests" in shown.notes[-1]
    assert table_of(runs[:1]).frame().iloc[0].tolist() == ["x", "1.00***"]
    doubted = [runs[0], replace(runs[1], horizon=9)]
    table = table_of(doubted)
    assert table.frame().iloc[0].tolist() == ["x", "1.00***", "1.00"]
    assert table.notes[-1].startswith("No stars in (2): HC1 standard errors ignore")


def test_assets_without_a_mean_have_a_panel_each() -> None:
    runs = [replace(run, metrics={}) for run in fund_grid()]
    table = table_of(runs, terms=["const"])
    assert [panel.title for panel in table.panels] == ["Panel A: A", "Panel B: B", "Panel C: C"]
    by_model = table_of(runs, columns="asset")
    assert [panel.title for panel in by_model.panels] == ["Panel A: capm", "Panel B: ff3"]
    assert [len(panel.lines) for panel in by_model.panels] == [2, 2]


def hostile() -> RegressionTable:
    """Every name of a table means something to HTML, LaTeX, Markdown or a terminal."""
    names = [*AWKWARD, "new\nline", "\\input{x}", "[a](http://b)", "`x`"]
    rows = [("asset", unit, term, 1.0, 0.1, SMALL) for unit in names[:4] for term in names]
    run = run_of(rows, names[0], target=names[5], errors=names[3])
    return regression_table([run], TableSettings(title=names[0], notes=names), names[2])


def test_names_are_text_on_the_page() -> None:
    checker = Checker()
    checker.feed(html(hostile()))
    checker.close()
    assert not checker.wrong and not checker.open and "script" not in checker.seen
    text = "".join(checker.texts)
    for name in AWKWARD:
        assert name.replace("\u202e", "\ufffd") in text


def test_names_are_text_in_markdown() -> None:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(markdown(hostile()))
    inline = [child for token in tokens for child in token.children or []]
    kinds = {token.type for token in [*tokens, *inline]}
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "code_inline"}
    rows = [token for token in tokens if token.type == "tr_open"]
    assert len(rows) == 1 + sum(1 for _ in hostile().rows())  # none is broken in two
    cells = [token for token in tokens if token.type == "td_open"]
    assert len(cells) == 5 * (len(rows) - 1)
    texts = {"".join(child.content for child in token.children or []) for token in tokens}
    assert {"$x_1$ {y} %s", "50% & more_#{x}~^\\", "*", "[x]", "a|b"} <= texts


def test_names_are_text_in_latex_which_compiles(tmp_path: Path) -> None:
    text = (
        latex(hostile()).replace("株式会社", "KK").replace("ö", "oe")
    )  # pdflatex has no such letters
    compiled(text, tmp_path)


def compiled(text: str, folder: Path) -> str:
    """What a LaTeX program says of an article with this table, which it makes a page of."""
    program = shutil.which("pdflatex") or shutil.which("tectonic")
    if program is None:
        pytest.skip("neither pdflatex nor tectonic: install a LaTeX to compile the table")
    (folder / "regression.tex").write_text(text)
    packages = r"\usepackage{booktabs,graphicx}"
    main = rf"\documentclass{{article}}{packages}\begin{{document}}\input{{regression.tex}}\end{{document}}"
    (folder / "main.tex").write_text(main)
    words = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in program else []
    done = subprocess.run(
        [program, *words, "main.tex"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (folder / "main.pdf").stat().st_size > 10_000
    return done.stdout


def nine_columns() -> RegressionTable | None:
    names = [f"S{size}V{value}" for size in (1, 3, 5) for value in (1, 3, 5)]
    terms = {"MktRF": -1.1126, "SMB": -0.400, "HML": 0.184, "const": -0.00533}
    rows = [
        ("asset", name, term, value, abs(value) / 8, 0.001)
        for name in names
        for term, value in terms.items()
    ]
    return regression_table([run_of(rows, "nine")], TableSettings(), "run nine")


def test_nine_columns_are_as_wide_as_the_text_of_an_article(tmp_path: Path) -> None:
    text = latex(nine_columns())
    assert "% needs \\usepackage{booktabs,graphicx}" in text
    assert text.count(r"\resizebox{\linewidth}") == 1
    assert r"$-$1.11\rlap{$^{***}$}" in text
    said = compiled(text, tmp_path)
    assert "Overfull" not in said


def test_the_table_in_word(tmp_path: Path) -> None:
    docx = pytest.importorskip("docx", reason="the extra `word` is not installed")
    from runner.sinks.paper.written.word import write

    for at, table in enumerate(
        [table_of(fund_grid(), rows="asset", terms=["const", "MktRF"]), hostile()]
    ):
        path = tmp_path / f"{at}.docx"
        write(table, path)
        document = docx.Document(str(path))
        [grid] = document.tables
        texts = [[cell.text.replace("−", "-") for cell in row.cells] for row in grid.rows]
        heads = 2 if table.numbered else 1
        for row, cells in zip(table.frame().to_numpy().tolist(), texts[heads:], strict=True):
            if row[0].startswith("Panel "):
                assert set(cells) == {row[0]}  # one cell as wide as the table
            else:
                assert cells[1:] == row[1:]
    assert "new\\nline" in texts[-1][0] or any("new\\nline" in cells[0] for cells in texts)
    assert "\\u202e" in "".join(cells[0] for cells in texts)


MISTAKES = [
    ({"terms": ["MktRf"]}, "table.terms[0]: 'MktRf' is unknown; allowed: const, MktRF; did you mean 'MktRF'?"),
    ({"rows": "asset", "columns": "asset"}, "table.columns: asset given with rows=asset; allowed: model, or rows=term"),
    ({"brackets": "std"}, "table.brackets: 'std' is unknown; allowed: se, t, ci"),
    ({"stars": [0.1, 0.1]}, "table.stars: given [0.1, 0.1]; allowed: at most 4 different levels, or [] for no stars"),
    ({"digits": 99}, "table.digits: given 99; allowed: at most 12 decimals"),
    ({"label": {}}, "table.label: 'label' is unknown; allowed: rows, columns, brackets, stars, labels, terms,"),
]  # fmt: skip


def spec_with(table: Mapping[str, Any], **model: Any) -> dict[str, Any]:
    return {
        "data": {"_target_": "runner.data.French"},
        "features": {"MktRF": {"_target_": "runner.features.shared", "series": "MktRF"}},
        "target": {"_target_": "runner.targets.same_period_return"},
        "model": {"_target_": "runner.models.Regression", **model},
        "validation": {"_target_": "runner.validation.NoValidation"},
        "table": table,
    }


@pytest.mark.parametrize(("table", "line"), MISTAKES)
def test_mistakes_are_one_line(table: dict[str, Any], line: str) -> None:
    [mistake] = mistakes(spec_with(table))
    assert mistake.startswith(line)


def test_assets_need_a_regression_each() -> None:
    [mistake] = mistakes(spec_with({"columns": "asset"}, by=None))
    assert mistake == (
        "table.columns: asset given with model.by=null; allowed: with a regression per asset or group"
    )
    with pytest.raises(SpecError, match=r"table.terms\[0\]: 'y' is unknown; allowed: x"):
        table_of([run_of([("asset", "A", "x", 1.0, 0.1, SMALL)])], terms=["y"])


def test_a_layout_makes_no_other_job() -> None:
    one = build(spec_with({})).spec
    two = build(spec_with({"brackets": "t"})).spec
    assert one != two and job_key(one, "f", "c") == job_key(two, "f", "c")


def panel_of(seed: int) -> Panel:
    """Two features of 60 dates and 5 assets, one constant, with gaps."""
    rng = np.random.default_rng(seed)
    X = rng.normal(1e3, 1.0, (60, 5, 3))
    X[:, :, 1] = 7.0
    X[:, :, 2] += 2.0 * X[:, :, 0]
    y = X[:, :, 0] + rng.normal(size=(60, 5))
    valid = rng.random((60, 5)) < 0.8
    dates = pd.bdate_range("2020-01-01", periods=60)
    return Panel(dates, list("ABCDE"), ["a", "b", "c"], y, X, valid)


@pytest.mark.parametrize("block", [statistics_of.BLOCK, 40])
@pytest.mark.parametrize("most", [statistics_of.MOST_SORTED, 10])
def test_statistics_are_those_of_pandas(
    block: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics_of, "BLOCK", block)
    monkeypatch.setattr(statistics_of, "MOST_SORTED", most)
    panel = panel_of(3)
    rows = pd.DataFrame(panel.X[panel.valid], columns=panel.names)
    rows.insert(0, "target", panel.y[panel.valid])
    found = statistics(panel)
    assert found is not None
    table = found.descriptive.set_index("variable")
    theirs = rows.describe().T
    names = {"n_obs": "count", "mean": "mean", "std": "std", "min": "min", "max": "max"}
    names |= {"p25": "25%", "median": "50%", "p75": "75%"} if most > 10 else {}
    for own, other in names.items():
        np.testing.assert_allclose(table[own], theirs[other], rtol=EXACT, atol=1e-9)
    assert table[["p25", "median", "p75"]].isna().all(axis=None) == (most == 10)
    np.testing.assert_allclose(
        found.correlations.drop(columns="variable"), rows.corr(), rtol=1e-9, atol=1e-9
    )
    assert table.loc["b", "std"] == 0.0 and found.correlations["b"].isna().all()


def test_statistics_of_rows_are_those_of_cells() -> None:
    panel = panel_of(4)
    listed = replace_cells(panel)
    pd.testing.assert_frame_equal(
        statistics(panel).descriptive, statistics(listed).descriptive, rtol=EXACT
    )
    empty = replace(panel, valid=np.zeros_like(panel.valid))
    assert statistics(empty) is None


def replace_cells(panel: Panel) -> Panel:
    """The same panel with its usable cells as rows."""
    from runner.data.columns.listings import Listings
    from runner.panels.numbers.ragged import Ragged

    t, i = np.nonzero(panel.valid)
    listings = Listings(panel.dates, pd.Index(panel.assets), t, i)
    cells = Ragged(listings, panel.y[t, i], panel.X[t, i], np.ones(len(t), dtype=bool))
    return replace(panel, cells=cells)


@pytest.fixture
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pictures, which take most of the time of a small run."""
    monkeypatch.setattr(plots, "draw", lambda report, directory: [])
    monkeypatch.setattr(sweep_page, "draw", lambda *given: sweep_page.Pictures())


@pytest.mark.usefixtures("_undrawn")
def test_the_tables_of_a_run_are_on_its_page_and_in_its_folder(tmp_path: Path) -> None:
    outcome = call_cli(tmp_path, "audit=off", "data.assets=[S1V1,S5V5]", "validation=none")
    assert outcome.code == 0, outcome.err
    folder = outcome.directory / "tables"
    names = {"descriptive.csv", "correlations.csv", "regression.tex", "regression.md"}
    assert {path.name for path in folder.iterdir()} == names
    page = (outcome.directory / "report.html").read_text(encoding="utf-8")
    assert 'class="paper"' in page and "Descriptive statistics and correlations" in page
    again = call_cli(
        tmp_path, "audit=off", "data.assets=[S1V1,S5V5]", "validation=none", "report=tables",
        "hydra.run.dir=outputs/again",
    )  # fmt: skip
    assert again.code == 0 and not (tmp_path / "outputs/again/tables").exists()
    printed = call_cli(
        tmp_path, "compare", str(outcome.directory), str(tmp_path / "outputs/again"), "--table"
    )
    assert printed.code == 0 and "| (1) | (2) |" in printed.out.replace("|  |", "|"), printed.err
    wrong = call_cli(tmp_path, "compare", str(outcome.directory), "outputs/again")
    assert wrong.code == 2 and "allowed: one, or runs with --table" in wrong.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands")


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_runs(command: str, folder: Path) -> None:
    if "word" in command:
        pytest.importorskip("docx", reason="the extra `word` is not installed")
    if "compare" in command and not (folder / "outputs/sweeps").exists():
        before = COMMANDS[: COMMANDS.index(command)]
        sweep = [earlier for earlier in before if "runner -m " in earlier][-1]
        assert called(sweep, folder, "audit=off").code == 0
    quick = [] if "compare" in command else ["audit=off"]  # the audit is not what is tested here
    outcome = called(command, folder, *quick)
    assert outcome.code == 0, outcome.err

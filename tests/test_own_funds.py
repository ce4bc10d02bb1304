"""The page on own funds is followed as a new user would: its file and its commands, as they stand there."""

from __future__ import annotations

import re
import shlex
from importlib.resources import files
from pathlib import Path

import linearmodels.datasets.french as french
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from conftest import Outcome, call_cli

TEXT = files("runner").joinpath("docs/funds.md").read_text(encoding="utf-8")
IN_ONE, *COMMANDS = re.findall(r"```sh\n(.*?)\n```", TEXT)
MOST_OVERRIDES = 9
PER_CENT = 100.0


def funds(factors: pd.DataFrame) -> pd.DataFrame:
    """Returns of three funds, in per cent with two digits, one of them from the third year on."""
    rng = np.random.default_rng(1)
    lines = {
        "Fund A": (0.2, 0.9, 0.3, 0.1),
        "Fund B": (-0.1, 1.1, -0.2, 0.4),
        "Growth": (0, 1, 0.8, 0),
    }
    table = {}
    for name, (alpha, market, size, value) in lines.items():
        explained = market * factors["MktRF"] + size * factors["SMB"] + value * factors["HML"]
        noise = rng.normal(0.0, 1.0, len(factors))
        table[name] = (factors["RF"] + alpha + explained + noise).round(2)
    own = pd.DataFrame(table)
    own.iloc[:24, 2] = np.nan
    return own


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three files as a user has them, and the data as the page writes them."""
    path = tmp_path_factory.mktemp("funds")
    shipped = Path(french.__file__).parent / "french.csv.bz2"
    (path / "momentum.csv.bz2").write_bytes(shipped.read_bytes())
    table = pd.read_csv(shipped, index_col=0, parse_dates=True)
    month_ends = table.index + pd.offsets.MonthEnd(0)
    factors = (PER_CENT * table[["MktRF", "SMB", "HML", "RF"]]).round(2).set_axis(month_ends)
    raw = factors.rename(columns={"MktRF": "Mkt-RF"})
    raw.index = [f"{date:%Y%m}" for date in raw.index]
    raw.to_csv(path / "factors.csv", index_label="")
    own = funds(factors.loc["2000":"2012"])
    own.index.name = "Month"
    own.to_excel(path / "funds.xlsx")
    own.to_csv(path / "funds.csv")
    own.to_pickle(path / "funds.pkl")
    factors.to_pickle(path / "factors.pkl")
    [written] = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    conf = path / "conf/data/funds.yaml"
    conf.parent.mkdir(parents=True)
    conf.write_text(written)
    return path


def followed(command: str, folder: Path) -> Outcome:
    """What a command of the page gives."""
    python, *words = shlex.split(command)
    assert [python, *words[:2]] == ["python", "-m", "runner"]
    overrides = [word for word in words if "=" in word]
    assert len(overrides) <= MOST_OVERRIDES
    outcome = call_cli(folder, *words[2:])
    assert outcome.code == 0, outcome.err
    return outcome


def test_the_page_has_the_five_steps_of_the_job() -> None:
    assert len(COMMANDS) == 5


@pytest.mark.parametrize("command", COMMANDS[:2])
def test_what_the_files_were_taken_for(folder: Path, command: str) -> None:
    outcome = followed(command, folder)
    assert "3 assets" in outcome.out
    if "--config-dir" in command:
        for name in ("MktRF (column Mkt-RF)", "SMB", "HML", "RF", "Mom"):
            assert name in outcome.out


def expected(folder: Path, names: list[str], window: int | None = None) -> dict[str, pd.Series]:
    """Coefficients of each fund by statsmodels, from the numbers that the files were written from."""
    own = pd.read_pickle(folder / "funds.pkl") / PER_CENT
    factors = pd.read_pickle(folder / "factors.pkl") / PER_CENT
    momentum = pd.read_csv(folder / "momentum.csv.bz2", index_col=0, parse_dates=True)["Mom"]
    factors["Mom"] = momentum.set_axis(factors.index)
    rows = {}
    for name in own:
        known = own[name].dropna()
        X = sm.add_constant(factors.loc[known.index, names])
        y = known - factors.loc[known.index, "RF"]
        if window:
            X, y = X.iloc[-window:], y.iloc[-window:]
        rows[name] = sm.OLS(y, X).fit().params
    return rows


def coefficients(outcome: Outcome) -> pd.Series:
    table = pd.read_csv(outcome.directory / "coefficients.csv")
    assets = table[table["scope"] == "asset"]
    return assets.set_index(["unit", "term"])["estimate"]


@pytest.mark.parametrize(
    ("command", "window"), [(IN_ONE, None), (COMMANDS[2], None), (COMMANDS[3], 60)]
)
def test_three_factors_are_those_of_statsmodels(
    folder: Path, command: str, window: int | None
) -> None:
    estimates = coefficients(followed(command, folder))
    for name, params in expected(folder, ["MktRF", "SMB", "HML"], window).items():
        np.testing.assert_allclose(estimates[name][params.index], params, rtol=1e-9, atol=1e-12)


def test_the_alphas_of_every_fund_under_every_model(folder: Path) -> None:
    outcome = followed(COMMANDS[4], folder)
    [found] = (folder / "outputs/sweeps").glob("*/report/by_unit.csv")
    table = pd.read_csv(found).set_index("unit")
    models = {
        "capm": ["MktRF"],
        "ff3": ["MktRF", "SMB", "HML"],
        "ff3_momentum": ["MktRF", "SMB", "HML", "Mom"],
    }
    for job, (features, names) in enumerate(models.items()):
        assert f"job {job}: {features}" in outcome.out
        alphas = table[f"job {job}: {features} const"]
        for name, params in expected(folder, names).items():
            np.testing.assert_allclose(alphas[name], params["const"], rtol=1e-9)

"""What may be a secret in an address stands nowhere: not in what is kept, nor in what is printed."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import call_cli

from runner.record.identity import job_key
from runner.record.secrets import Hidden, without_passwords, without_secrets

HIDDEN = [
    ("https://user:SECRET@host/x", "https://***@host/x"),
    ("https://user:SE@CR/ET@host/x", "https://***@host/x"),
    ("https://user:S?E#CRET@host/x", "https://***@host/x"),
    ("https://SECRET@host/x", "https://***@host/x"),
    ("https://user:@host/x", "https://***@host/x"),
    ("s3://KEY:SEC/RET@bucket/x.csv", "s3://***@bucket/x.csv"),
    (
        "postgresql://u:SECRET@h:5432/db?sslmode=require",
        "postgresql://***@h:5432/db?sslmode=require",
    ),
    ("https://host/x?token=SECRET&a=1", "https://host/x?token=***&a=1"),
    ("https://host/x?a=1&X-Amz-Signature=SECRET", "https://host/x?a=1&X-Amz-Signature=***"),
    ("https://host/x#access_token=SECRET", "https://host/x#access_token=***"),
    ("https://host/x?jwt=SECRET", "https://host/x?jwt=***"),
    ("error: data.path: 'https://u:SECRET@h/x': no", "error: data.path: 'https://***@h/x': no"),
]
KEPT = [
    "https://host/a@b.csv",
    "https://host/x.csv?format=csv&year=2020",
    "sqlite:////tmp/a@b.db",
    "user:password@host",
    "file:///a/b c.csv",
]


@pytest.mark.parametrize(("given", "kept"), HIDDEN)
def test_what_may_be_a_secret_is_struck_out(given: str, kept: str) -> None:
    assert without_secrets(given) == kept
    assert without_secrets({"a": [given]}) == {"a": [kept]}
    assert without_secrets(kept) == kept


@pytest.mark.parametrize("given", KEPT)
def test_what_is_no_secret_stays(given: str) -> None:
    assert without_secrets(given) == given


@pytest.mark.parametrize(
    "word",
    [
        "data.path=https://user:SE@CR/ET@127.0.0.1:9/x.csv",
        "data.path='https://127.0.0.1:9/x.csv?token=SECRET'",
        "data.path=s3://KEY:SEC/RET@bucket/x.csv",
    ],
)
def test_no_message_names_a_secret(cli, tmp_path, word: str) -> None:
    outcome = cli("experiment=none", "data=file", "features=market", word)
    assert outcome.code == 2
    for secret in ("SECRET", "ET@", "SE@", "KEY"):
        assert secret not in outcome.out + outcome.err


VALUE = "hush-hush word"  # of an environment variable
FITTED = (
    "experiment=none",
    "data=file",
    "features=lagged_returns",
    "validation=none",
    "audit=off",
)


@pytest.fixture
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of prices in a folder whose name is the value of the variable HUSH."""
    monkeypatch.setenv("HUSH", VALUE)
    draw = np.random.default_rng(7)
    dates = pd.bdate_range("2021-01-01", periods=60)
    prices = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, (60, 2)), axis=0))
    path = tmp_path / VALUE / "prices.csv"
    path.parent.mkdir()
    pd.DataFrame(prices, dates, ["A", "B"]).to_csv(path, index_label="date")
    return path


OF_VARIABLE = "data.path=${oc.env:HUSH}/prices.csv"


def assert_kept_nowhere(folder: Path) -> None:
    """No file below the results has the value, and those that lack it are their owner's alone."""
    for path in (folder / "outputs").rglob("*"):
        if path.is_file() and path.suffix != ".runner-cache":  # of which the owner alone reads any
            content = path.read_bytes()
            assert VALUE.encode() not in content, path
            is_spec = path.name in ("spec.yaml", "run.json", "plan.json")
            if is_spec and "artifacts" not in path.parts:
                assert b"${oc.env:HUSH}" in content, path
                assert path.stat().st_mode & 0o077 == 0, path


def test_the_value_of_a_variable_is_kept_nowhere(tmp_path: Path, prices: Path) -> None:
    run = call_cli(tmp_path, *FITTED, OF_VARIABLE)
    assert run.code == 0, run.err
    assert VALUE not in run.out + run.err
    assert_kept_nowhere(tmp_path)
    absent = call_cli(tmp_path, *FITTED, "data.path=${oc.env:HUSH}/none.csv")
    assert absent.code == 2
    assert VALUE not in absent.err
    assert "${oc.env:HUSH}" in absent.err


def test_a_rerun_takes_the_value_from_the_override_that_its_message_names(
    tmp_path: Path, prices: Path
) -> None:
    first = call_cli(tmp_path, *FITTED, "report=tables", OF_VARIABLE)
    run_id = first.out.partition("MLflow run: ")[2].split()[0]
    refused = call_cli(tmp_path, "rerun", run_id)
    [line] = refused.errors
    assert refused.code == 2
    assert "environment variable HUSH; allowed: data.path='${oc.env:HUSH}/prices.csv'" in line
    again = call_cli(tmp_path, "rerun", run_id, OF_VARIABLE)
    assert again.code == 0, again.err
    assert "bit-identical" in again.out
    other = call_cli(tmp_path, "rerun", run_id, OF_VARIABLE, "data.start=2021-02-01")
    assert "data.start: a rerun repeats the logged spec" in other.err
    assert_kept_nowhere(tmp_path)


def test_a_sweep_goes_on_with_the_value_of_the_environment(
    tmp_path: Path, prices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = ("model.cov=HC0,HC1", "hydra.sweep.dir=outputs/sweeps/s")
    assert call_cli(tmp_path, "-m", *FITTED, *named, OF_VARIABLE).code == 0
    assert_kept_nowhere(tmp_path)
    shutil.rmtree(tmp_path / "outputs" / "sweeps" / "s" / "1")
    monkeypatch.delenv("HUSH")
    refused = call_cli(tmp_path, "resume", "s")
    assert len(refused.errors) == 1
    assert "environment variable HUSH" in refused.err
    place = f"data.path={prices}"
    assert call_cli(tmp_path, "resume", "s", place).code == 0
    monkeypatch.setenv("HUSH", VALUE)


def test_other_values_of_a_variable_are_other_jobs(tmp_path: Path, prices: Path) -> None:
    composed = Hidden("HC1", "${oc.env:COV}"), Hidden("HC3", "${oc.env:COV}")
    assert without_secrets(composed) == ("${oc.env:COV}",) * 2
    keys = {job_key(without_passwords({"model": {"cov": cov}}), "", "") for cov in composed}
    assert len(keys) == 2


def test_hidden_texts_survive_on_their_way_to_other_processes() -> None:
    hidden = pickle.loads(pickle.dumps(Hidden("word", "${oc.env:WORD}")))
    assert hidden == "word"
    assert without_secrets({"a": [hidden]}) == {"a": ["${oc.env:WORD}"]}


@pytest.mark.parametrize(
    "kept", ["https://u:${oc.env:PW}@host/x", "https://host/x?token=${oc.env:PW}&a=1"]
)
def test_a_variable_in_an_address_is_no_secret_itself(kept: str) -> None:
    assert without_secrets(kept) == kept

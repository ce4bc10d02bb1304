"""Files in buckets, on a store of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyarrow import fs

from runner.data.joins.join import joined
from runner.data.joins.settings import FieldTable, Joined, SeriesTable
from runner.data.market import Market
from runner.data.reading import buckets
from runner.data.sources.file import File
from runner.errors import DataError
from runner.record.secrets import without_secrets

moto = pytest.importorskip("moto.server")

DAYS = pd.bdate_range("2020-01-01", periods=4)
NAMES = ["AAA", "BBB"]
COLUMNS: dict[str, str | None] = {"date": "Date", "asset": "Ticker", "close": "AdjClose"}
OF_AWS = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE")
SECRET = "se/cr+et"


def prices(name: str) -> pd.DataFrame:
    """Prices of an asset, a row per date."""
    close = np.arange(10.0, 14.0) + len(name) * NAMES.index(name)
    return pd.DataFrame({"Date": DAYS, "Ticker": name, "AdjClose": close})


def of_both() -> pd.DataFrame:
    return pd.concat([prices(name) for name in NAMES])


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The endpoint of a store with a bucket of files."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    system = fs.S3FileSystem(
        access_key="me",
        secret_key=SECRET,
        region="us-east-1",
        endpoint_override=endpoint,
        scheme="http",
        allow_bucket_creation=True,
    )
    system.create_dir("own")
    vix = pd.DataFrame({"date": DAYS, "vix": [1.0, 2.0, 3.0, 4.0]})
    files = {
        "all prices.csv": of_both().to_csv(index=False),
        "folder/year=2020/AAA.csv": prices("AAA").to_csv(index=False),
        "folder/year=2021/BBB.csv": prices("BBB").to_csv(index=False),
        "folder/_SUCCESS": "x",
        "vix/1.csv": vix[:2].to_csv(index=False),
        "vix/2.csv": vix[2:].to_csv(index=False),
        "vix/notes.txt": "none",
    }
    for name, text in files.items():
        with system.open_output_stream(f"own/{name}") as stream:
            stream.write(text.encode())
    yield endpoint
    server.stop()


@pytest.fixture
def environment(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OF_AWS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", store)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def load(path: str | list[str], **settings: Any) -> Market:
    return File(path=path, columns=COLUMNS, **settings).load()


def refused(path: str) -> str:
    with pytest.raises(DataError) as error:
        load(path)
    (line,) = error.value.mistakes
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    "path",
    [
        "s3://own/all prices.csv",
        "s3://own/folder/",
        "s3://own/folder",
        ["s3://own/folder/year=2020/*.csv", "s3://own/folder/year=2021/BBB.csv"],
    ],
)
@pytest.mark.usefixtures("environment")
def test_files_folders_and_patterns_of_a_bucket(path: str | list[str]) -> None:
    close = load(path).get("close")
    assert close.columns.tolist() == NAMES
    for name in NAMES:
        assert close[name].tolist() == prices(name)["AdjClose"].tolist()


@pytest.mark.usefixtures("environment")
def test_folders_of_a_bucket_are_columns() -> None:
    market = load("s3://own/folder", groups={"year": "year"})
    assert market.groups["year"].tolist() == ["2020", "2021"]


@pytest.mark.usefixtures("environment")
def test_joined_tables_of_a_bucket() -> None:
    market = load("s3://own/all prices.csv")
    series = Joined("data.series.s", SeriesTable("s3://own/vix/*.csv"))
    fields = Joined("data.fields.f", FieldTable("s3://own/folder", {"price": "AdjClose"}))
    both = joined(market, [series, fields])
    assert both.shared("vix").tolist() == [1.0, 2.0, 3.0, 4.0]
    assert both.get("price").equals(market.get("close"))


def test_an_address_with_everything_in_it_is_said_without(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    host = store.removeprefix("http://")
    options = f"?region=us-east-1&scheme=http&endpoint_override={host}"
    for secret in (SECRET, "se%2Fcr%2Bet"):
        address = f"s3://me:{secret}@own/folder/{options}"
        market = load(address)
        assert market.assets == NAMES
        assert "own/folder" in market.source
        kept = without_secrets({"data": {"path": [address]}})
        said = repr((market.source, market.notes, market.readings, kept))
        assert "cr" not in said.replace("secret", "") and "me:" not in said
        assert "was kept without" in refused(kept["data"]["path"][0])
        assert secret not in refused(f"s3://me:{secret}@own/none.csv{options}")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (
            "s3://own/none.csv",
            "'s3://own/none.csv' cannot be fetched: the bucket 'own' has no such file",
        ),
        ("s3://none/a.csv", "'s3://none/a.csv' cannot be fetched: there is no such bucket"),
        ("s3://own/vix/*.parquet", "no file at 's3://own/vix/*.parquet'"),
        (
            "s3://own/a.csv?colour=red",
            "option 'colour'; allowed: region, endpoint_override, scheme",
        ),
    ],
)
@pytest.mark.usefixtures("environment")
def test_what_is_not_in_a_bucket_is_one_line(path: str, line: str) -> None:
    said = refused(path)
    assert said.startswith("data.path: ") and line in said


@pytest.mark.usefixtures("environment")
def test_an_endpoint_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(buckets, "ATTEMPTS", 1)
    assert refused("s3://own/folder/").endswith(
        "cannot be fetched: the endpoint does not answer; AWS_ENDPOINT_URL sets it"
    )


@pytest.mark.parametrize("code", sorted(buckets.MEANINGS))
def test_errors_of_a_store_in_words(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(address: buckets.Address) -> Any:
        raise OSError(f"When reading 'a' with me:{SECRET}@: AWS Error {code} during HeadObject: no")

    monkeypatch.setattr(buckets, "_system", fails)
    line = refused("s3://own/a.csv")
    assert line.endswith(buckets.MEANINGS[code]) and SECRET not in line

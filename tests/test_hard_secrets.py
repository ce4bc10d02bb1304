"""What may be a secret in an address stands nowhere: not in what is kept, nor in what is printed."""

from __future__ import annotations

import pytest

from runner.experiment.spec import without_secrets

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

"""A tracking store of MLflow: its address, its client, and what goes wrong with it as one line."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from runner.errors import RunnerError, SpecError
from runner.progress import telling
from runner.record.secrets import said
from runner.sinks.stores import database
from runner.sinks.stores.answers import within_bounds

if TYPE_CHECKING:
    from mlflow import MlflowClient

FILE = "sqlite:///"  # the beginning of the address of a file
SECONDS = 15  # that a server has for one answer, where nothing says otherwise
RETRIES = 2  # of a request without an answer
# what installs the driver of a database, by the module that is missing
DRIVERS = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
}


class Store:
    """Where runs are kept: the URI of a tracking store, and the experiment in it.

    Args:
        uri: as MLflow takes it; None: a file below the working directory.
        experiment: its name.
        timeout: seconds that a server has for one answer; None: as the environment says.
        retries: of a request that has none; None: as the environment says.
    """

    def __init__(
        self,
        uri: str | None = None,
        experiment: str = "factor-runner",
        timeout: int | None = None,
        retries: int | None = None,
    ) -> None:
        self.file = Path("outputs/mlflow.db").resolve() if uri is None else file_of(uri)
        self.uri = _address_of(self.file) if uri is None and self.file else str(uri)
        self.experiment = experiment
        self.limits = {
            "MLFLOW_HTTP_REQUEST_TIMEOUT": timeout,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": retries,
        }

    @property
    def artifacts(self) -> str | None:
        """Where artifacts of a store on disk lie; a server decides for itself."""
        if self.file is None:
            return None
        folder = self.file.parent / "artifacts"
        return folder.as_uri()

    def check(self) -> None:
        """Look, before anything is computed, whether runs can be logged there.

        Raises:
            SpecError: the driver of its database is not installed.
            StoreError: its file is damaged, or another process holds it.
        """
        _check_driver(self.uri)
        if self.file is not None and self.file.exists():
            with in_one_line(self, "nothing was run"):
                database.check_head(self.file)
                database.check_pages(self.file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time: simultaneous starts would break a fresh database."""
        if self.file is None:
            yield
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        lock_file = self.file.with_name(f".{self.file.name}.lock")
        with open(lock_file, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def client(self) -> MlflowClient:
        """A client of this store, and of no other; creates the database where there is none."""
        quiet()
        given = {name: str(limit) for name, limit in self.limits.items() if limit is not None}
        os.environ.update(given)
        from mlflow import MlflowClient

        _hush()
        _without_waiting()
        within_bounds()
        if self.file is not None and not self.file.exists():
            # whole or not at all: MLflow cannot mend half of one
            fresh = self.file.with_name(f".{self.file.name}.new")
            journal = fresh.with_name(f"{fresh.name}-journal")
            for rest in (fresh, journal):
                rest.unlink(missing_ok=True)
            MlflowClient(tracking_uri=_address_of(fresh)).search_experiments(max_results=1)
            fresh.rename(self.file)
        if self.file is not None:
            database.check_head(self.file)
            database.mend_places(self.file)
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)


def file_of(uri: str) -> Path | None:
    """The file of a store; None of one elsewhere."""
    if not uri.startswith(FILE):
        return None
    path = uri.removeprefix(FILE).partition("?")[0]
    return Path(unquote(path)).resolve()


def _address_of(file: Path) -> str:
    """The address of a file, whose path may have letters that mean something in an address."""
    path = str(file).replace("%", "%25").replace("?", "%3F")
    return f"{FILE}{path}"


def _check_driver(uri: str) -> None:
    """Look whether the driver of a database is installed.

    Raises:
        SpecError: it is not, with what installs it.
    """
    scheme, mark, _ = uri.partition("://")
    if not mark or scheme in ("sqlite", "http", "https", "file"):
        return
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    try:
        make_url(uri).get_dialect().import_dbapi()
    except ImportError as error:
        package = DRIVERS.get(str(error.name), str(error.name))
        line = f"needs {error.name}; pip install '{package}' installs it"
        raise SpecError(f"tracking.uri: a {scheme} store {line}") from None
    except (ArgumentError, SQLAlchemyError):
        allowed = "sqlite, postgresql, mysql, mssql, http, https"
        raise SpecError(f"tracking.uri: no store is {scheme!r}; allowed: {allowed}") from None


@contextmanager
def in_one_line(store: Store, kept: str) -> Iterator[None]:
    """What the store raises, as one line; and a line where it keeps one waiting.

    Raises:
        StoreError: it cannot be read or written.
    """
    quiet()
    try:
        with telling(partial(_waiting, store)):
            yield
    except Exception as error:
        if not _is_of_store(error):
            raise
        reason = _reason(error)
        line = f"tracking.uri: {store.uri}: {reason}{_remedy(store, reason)}; {kept}"
        raise StoreError(said(line)) from error


def _reason(error: Exception) -> str:
    """The line of an error that says what is wrong; SQLAlchemy writes where it arose before it."""
    lines = str(error).splitlines()
    telling_lines = [line for line in lines if not line.startswith("(raised as a result of")]
    return (telling_lines or [type(error).__name__])[0][:300]


def _is_of_store(error: Exception) -> bool:
    """Whether an error is one of a store, of which MLflow is imported only where there is one."""
    if isinstance(error, OSError | sqlite3.Error):
        return True
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, MlflowException | SQLAlchemyError)


def _waiting(store: Store, seconds: float) -> str:
    """That the store keeps one waiting, and for how long it may."""
    line = f"tracking.uri: {store.uri}: not done after {seconds:.0f} s"
    if store.file is None:
        patience = os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]
        retries = os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
        line += f"; a request has {patience} s (tracking.timeout), then {retries} tries more"
        line += " (tracking.retries)"
    return str(said(line))


def _remedy(store: Store, reason: str) -> str:
    """What to do where a file is damaged or held by another process."""
    if store.file is None:
        return ""
    if "locked" in reason:
        return " (another process holds it; try again when that is done)"
    if any(word in reason for word in ("not a database", "malformed", "I/O error")):
        return " (it is damaged: move it away, and `python -m runner sync` logs what is kept anew)"
    return ""


@cache
def _without_waiting() -> None:
    """No commit of SQLite waits for the disk, as writing a run directory does not.

    A process that is killed loses nothing, and what a power cut takes of the last runs, `resume`
    and `sync` log again.
    """
    from sqlalchemy import Engine, event

    def opened(connection: Any, record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("pragma synchronous = normal")

    event.listen(Engine, "connect", opened)


def quiet() -> None:
    """No telemetry, no minutes of retries.

    Called before MLflow is imported.
    """
    defaults = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(SECONDS),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(RETRIES),
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",  # from wherever a server says
        # a server's run would break the one JSON object
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _hush() -> None:
    """No words of MLflow's own between ours, whose import lets it speak: its errors are raised."""
    for name in ("mlflow", "alembic"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL)


class StoreError(RunnerError):
    """The tracking store cannot be read or written."""

    exit_code = 1

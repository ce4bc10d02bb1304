"""The verb `ui`: a lean MLflow server on loopback with our plug-in, and the link that opens it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from runner.errors import DataError, RunnerError, SpecError
from runner.progress import telling
from runner.sinks.stores.store import file_of
from runner.sinks.ui_plugin import STORE

HOST = "127.0.0.1"
LEAN = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",  # its checks of hosts
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}
PATIENCE = 120.0  # seconds until a server that does not answer is given up
GRACE = 10.0  # seconds to end in peace


def serve(uri: str, port: int, path: str, what: str = "") -> int:
    """Serve the MLflow UI of the store `uri` until Ctrl-C or SIGTERM; port 0 picks a free one.

    Args:
        path: what follows the host in the link, such as `runner.sinks.view.open_path` returns.
        what: the link does, for people.
    """
    from tempfile import TemporaryFile

    _existing(uri)
    port = _claim(port)
    try:
        with (
            _interruptible(),
            TemporaryFile("w+", errors="replace") as log,
            _server(uri, port, log) as server,
        ):
            _await(server, port, log)
            _show(f"http://{HOST}:{port}/{path}", what)
            with telling(None):  # it serves, and is not waited for
                server.wait()
            raise RunnerError(f"the MLflow server ended by itself: {_last(log)}")
    except KeyboardInterrupt:
        return 0


def serve_runs(tracking: Mapping[str, Any], run_ids: Sequence[str], port: int, keep: bool) -> int:
    """Serve the MLflow UI, open on a run, or on the newest ones where none is named.

    Args:
        tracking: settings of the store.
        run_ids: the run, or nothing.
    """
    from runner.sinks.stores.store import Store
    from runner.sweeps.plan import killed
    from runner.sweeps.telling.tracked import end_killed, run_link, runs_link

    store = Store(**tracking)
    end_killed(store, killed)
    if run_ids:
        link = run_link(store, run_ids[0], plugged_in=True)
        return serve(store.uri, port, link, f"open on run {run_ids[0]}")
    link = runs_link(store, plugged_in=True, keep=keep)
    return serve(store.uri, port, link, what_it_does("the newest runs", keep))


def serve_sweep(name: str, port: int, keep: bool) -> int:
    """Serve the MLflow UI, open on the jobs of a sweep."""
    from runner.record.untrusted import as_written
    from runner.sinks.stores.store import Store
    from runner.sweeps.comparison.comparison import compared
    from runner.sweeps.conduct import sweep_tags
    from runner.sweeps.plan import find, is_own, killed
    from runner.sweeps.telling.tracked import end_killed, sweep_link

    plan = find(name)
    with as_written(f"sweep {plan.name}"):
        comparison = compared(plan)
    uri = plan.tracking.get("uri")
    if uri is not None and not is_own(plan.directory):
        given = f"{uri!r}, which others may have named"
        remedy = f"python -m runner ui tracking.uri={uri}"
        raise SpecError(f"sweep {plan.name}: its store is {given}; allowed: {remedy}")
    store = Store(**plan.tracking)
    end_killed(store, killed)
    link = sweep_link(store, sweep_tags(plan), comparison, plugged_in=True, keep=keep)
    effect = what_it_does(f"the jobs of sweep {plan.name}, best first", keep)
    return serve(store.uri, port, link, effect)


def _existing(uri: str) -> None:
    """Refuse a file that is not there: the server would make an empty store of it."""
    file = file_of(uri)
    if file is not None and not file.exists():
        raise DataError(f"{file} does not exist: no run has been logged there yet")


def _claim(port: int) -> int:
    """The port if it is free; what is wrong with it otherwise."""
    try:
        with socket.socket() as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind((HOST, port))
            return int(door.getsockname()[1])
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "not between 0 and 65535"
        raise SpecError(f"port {port}: {why}; choose another with --port") from None


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, even where a shell started it in the background."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def _server(uri: str, port: int, log: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """The server in a process group of its own, ended with all its workers."""
    server = subprocess.Popen(
        _command(port),
        env={**os.environ, **LEAN, STORE: uri},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    try:
        yield server
    finally:
        _end(server)


def _command(port: int) -> list[str]:
    """MLflow's application with our plug-in, in one process as `mlflow server` starts it.

    Artifacts are read where the runs put them, so nothing is proxied and no folder made.
    """
    place = ["--host", HOST, "--port", str(port), "--workers", "1"]
    return [sys.executable, "-m", "uvicorn", "--factory", "runner.sinks.ui_plugin:served", *place]


def _await(server: subprocess.Popen[str], port: int, log: IO[str]) -> None:
    """Return when the server answers; say why when it does not."""
    late = time.monotonic() + PATIENCE
    while not _healthy(port):
        if server.poll() is not None:
            raise RunnerError(f"the MLflow server did not start: {_last(log)}")
        if time.monotonic() > late:
            raise RunnerError(
                f"the MLflow server did not answer within {PATIENCE:.0f} s: {_last(log)}"
            )
        time.sleep(0.1)


def _healthy(port: int) -> bool:
    """Whether the server answers, asked without the proxies of the environment."""
    from http.client import HTTPConnection, HTTPException

    try:
        connection = HTTPConnection(HOST, port, timeout=5)
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False


def what_it_does(opens_on: str, keep: bool) -> str:
    """What a link does, for people: it replaces the browser's last view, or is a preview."""
    if keep:
        return f"open on {opens_on}, a preview that leaves your own view alone"
    place = "in place of this browser's last view of the experiment"
    return f"open on {opens_on}, {place} (--keep-view: a preview)"


def _show(link: str, what: str) -> None:
    """Print what the link does, and the link; a person at a terminal also gets it opened."""
    described = f"MLflow UI, {what}" if what else "MLflow UI"
    print(f"{described}: {link}", flush=True)
    if sys.stdout.isatty():
        import webbrowser

        webbrowser.open(link)


def _last(log: IO[str]) -> str:
    """The last line of the log that names an exception, else its last line."""
    log.seek(0)
    lines = [line.strip() for line in log if line.strip()]
    if not lines:
        return "no word in its log"
    for line in reversed(lines):
        if re.match(r"[\w.]+(Error|Exception): |.*\[Errno ", line):
            return line
    return lines[-1]


def _end(server: subprocess.Popen[str]) -> None:
    """End the group of the server: politely, then by force."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, None)):
        try:
            os.killpg(server.pid, number)
            server.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue

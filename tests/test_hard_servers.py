"""Tracking servers whose answers do not end: given up in one line, by bytes and by seconds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import call_cli

from runner.sinks.stores import answers

RUN_ID = "a" * 32
FILES = ["metrics.json", "predictions.parquet", "run.json", "spec.yaml"]
RUN = {
    "info": {
        "run_id": RUN_ID,
        "experiment_id": "1",
        "status": "FINISHED",
        "start_time": 1,
        "artifact_uri": f"mlflow-artifacts:/1/{RUN_ID}/artifacts",
    },
    "data": {},
}
LISTED = {"files": [{"path": name, "is_dir": False, "file_size": 10} for name in FILES]}
SOON = 20.0  # seconds: the bounds of the tests are of two


class Hostile(BaseHTTPRequestHandler):
    """Answers as a server of MLflow does, and in one of its ways without an end."""

    way = ""

    def do_GET(self) -> None:
        is_file = "/mlflow-artifacts/artifacts/" in self.path
        with suppress(OSError):
            if self.way == ("file" if is_file else "answer"):
                self.begin()
                while True:
                    self.wfile.write(bytes(2**20))
            elif self.way in ("slow file" if is_file else "slow answer", "slow head"):
                if self.way != "slow head":
                    self.begin()
                while True:
                    self.wfile.write(b"x")
                    time.sleep(0.1)
            else:
                self.answer(b"{}" if is_file else self.found())

    def do_POST(self) -> None:
        self.do_GET()

    def begin(self) -> None:
        self.send_response(200)
        self.end_headers()

    def found(self) -> bytes:
        content = {"run": RUN} if "/runs/get" in self.path else LISTED
        return json.dumps(content).encode()

    def answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        """Nothing."""


@contextmanager
def serving(way: str) -> Iterator[str]:
    handler = type("Handler", (Hostile,), {"way": way})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("answer", "an answer has more than 3,000,000 bytes"),
        ("slow answer", "an answer is not there after 2 s"),
        ("slow head", "an answer is not there after 2 s"),
        ("file", "an answer has more than 3,000,000 bytes"),
        ("slow file", "an answer is not there after 2 s"),
        ("", "run.json: no name"),  # it ends, and is no run
    ],
)
def test_an_answer_without_an_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, told: str
) -> None:
    for most in ("MOST_ANSWER", "MOST_TABLE"):
        monkeypatch.setattr(answers, most, 3_000_000)
    for longest in ("LONGEST", "LONGEST_FILE"):
        monkeypatch.setattr(answers, longest, 2.0)
    begun = time.monotonic()
    with serving(way) as uri:
        outcome = call_cli(tmp_path, "rerun", RUN_ID, f"tracking.uri={uri}", "tracking.retries=0")
    assert time.monotonic() - begun < SOON
    assert outcome.code in (1, 2)
    [line] = outcome.errors
    assert told in line
    assert not list(tmp_path.glob("outputs/runs/*"))

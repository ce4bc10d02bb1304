"""The plug-in of MLflow's server: two routes, nothing beside the views and the pages of sweeps, no live markup."""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from conftest import ROOT
from starlette.applications import Starlette
from starlette.routing import Route

from runner.sinks import ui_plugin, view
from runner.sinks.view import facets_of

KEY = f"{'0a' * 10}-leaderboard"
NASTY = "</script><script>alert(1)</script>' & \u2028"


@dataclass
class Answer:
    """What a route answered."""

    status_code: int
    headers: dict[str, str]
    text: str


@dataclass
class Visitor:
    """Calls an application as a server does: the path without its percent signs."""

    app: Starlette

    def get(self, address: str, **given: str) -> Answer:
        """The answer to a request with these headers."""
        path, _, query = address.partition("?")
        scope = {
            "type": "http",
            "method": "GET",
            "path": unquote(path),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))  # type: ignore[arg-type]
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], headers, body.decode())


@pytest.fixture
def visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Visitor:
    """The routes without MLflow behind them, on one saved view and one sweep."""
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "outputs" / "sweeps" / "a" / "report" / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text("<h1>sweep a</h1>")
    (tmp_path / "outputs" / "sweeps" / "secret.html").write_text("hush")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("hush")
    state = view.View(
        "x", [view.param("model")], f"tags.sweep = '{NASTY}'", (view.metric("rank"), True)
    ).state
    monkeypatch.setattr(
        ui_plugin,
        "_state",
        lambda experiment, key: state if (experiment, key) == ("1", KEY) else None,
    )
    monkeypatch.setattr(ui_plugin, "_is_sweep", lambda experiment, sweep: False)
    routes = [
        Route("/open/{experiment}/{key}", ui_plugin.opened),
        Route("/sweep/{name}", ui_plugin.sweep_page),
    ]
    return Visitor(Starlette(routes=routes))


def told(answer: Any) -> dict[str, Any]:
    """What the page writes, as its script reads it."""
    found = re.search(r"const told = (.*);\n", answer.text)
    assert found
    return json.loads(found[1])


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:5000", 200),
        ("http://127.0.0.1:8000", 403),
        ("http://localhost:5000", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_a_page_of_another_port_is_another_origin(visit: Visitor, origin: str, status: int) -> None:
    guarded = Visitor(ui_plugin.SameOrigin(visit.app))
    asked = guarded.get(f"/open/1/{KEY}", host="127.0.0.1:5000", origin=origin)
    assert asked.status_code == status
    assert guarded.get(f"/open/1/{KEY}", host="127.0.0.1:5000").status_code == 200


def test_open_writes_the_view_as_mlflow_keeps_it_and_goes_on_to_its_facets(visit: Visitor) -> None:
    answer = visit.get(f"/open/1/{KEY}?mode=CHART")
    assert answer.status_code == 200
    kept = told(answer)["kept"]
    own = json.loads(kept['MLflowLocalStorage-1.1-ExperimentPage-["1"]-ReactComponentState'])
    assert own["selectedColumns"] == ["params.`model`"]
    assert own["orderByKey"] == "metrics.`rank`" and own["orderByAsc"] is True
    assert kept["mlflow.assistant.fab.autoOpenedOnFirstLoad_v1"] == "true"
    assert told(answer)["path"].startswith(
        "#/experiments/1/runs?workflowType=machine_learning&compareRunsMode=CHART&"
    )


def test_what_a_view_holds_is_no_markup_and_only_our_script_runs(visit: Visitor) -> None:
    answer = visit.get(f"/open/1/{KEY}")
    assert answer.text.count("<script") == 1 and answer.text.count("</script>") == 1
    assert (
        NASTY
        in json.loads(
            told(answer)["kept"]['MLflowLocalStorage-1.1-ExperimentPage-["1"]-ReactComponentState']
        )["searchFilter"]
    )
    policy = answer.headers["content-security-policy"]
    nonce = re.search(r"'nonce-([\w-]+)'", policy)
    assert nonce and f'<script nonce="{nonce[1]}">' in answer.text
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert nonce[1] not in visit.get(f"/open/1/{KEY}").text  # another each time


def test_open_shows_the_jobs_of_a_sweep_whose_views_were_deleted_in_their_order(
    visit: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = "0b" * 10
    monkeypatch.setattr(
        ui_plugin, "_is_sweep", lambda experiment, sweep: (experiment, sweep) == ("1", older)
    )
    answer = told(visit.get(f"/open/1/{older}-leaderboard?mode=CHART"))
    assert answer["path"] == view.facets_path("1", facets_of(older), "CHART")
    assert not any("ExperimentPage" in name for name in answer["kept"])
    assert visit.get(f"/open/2/{older}-leaderboard").status_code == 404


def test_open_goes_on_to_a_run_and_changes_no_view(visit: Visitor) -> None:
    run = "ab" * 16
    answer = told(visit.get(f"/open/1/{run}"))
    assert answer["path"] == view.run_path("1", run)
    assert not any("ExperimentPage" in name for name in answer["kept"])


@pytest.mark.parametrize(
    "path",
    [
        f"/open/2/{KEY}", f"/open/x/{KEY}", "/open/1/newest", "/open/1/KEY", f"/open/1/{KEY}<b>",
        f"/open/1/{KEY}?mode=X", "/sweep/b", "/sweep/..", "/sweep/%2e%2e", "/sweep/..%2f..", "/sweep/%2Fetc",
        "/sweep/secret.html", "/sweep/.", "/sweep/a%2f..%2f..%2f..", "/sweep/a/report.html", "/sweep/%00",
    ],
)  # fmt: skip
def test_nothing_else_is_served(visit: Visitor, path: str) -> None:
    answer = visit.get(path)
    assert answer.status_code == 404
    assert "hush" not in answer.text and "<" not in answer.text


def test_the_page_of_a_sweep_is_served_without_scripts(visit: Visitor) -> None:
    answer = visit.get("/sweep/a")
    assert answer.text == "<h1>sweep a</h1>"
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_page_that_a_link_leads_out_of_the_sweeps_is_not_served(
    visit: Visitor, tmp_path: Path
) -> None:
    (tmp_path / "outputs" / "sweeps" / "out").symlink_to(tmp_path)
    assert visit.get("/sweep/out").status_code == 404


def test_a_server_says_whether_it_has_the_plug_in(visit: Visitor) -> None:
    assert visit.get("/open/0/plugged-in").text == ui_plugin.NAME


def test_the_package_offers_the_plug_in_to_mlflow() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["mlflow.app"] == {
        ui_plugin.NAME: "runner.sinks.ui_plugin:create"
    }
    assert callable(ui_plugin.create)

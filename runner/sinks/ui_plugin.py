"""A plug-in of MLflow's server: two more routes, on its own origin, and nothing else changed.

    /open/EXPERIMENT/KEY?mode=TABLE    makes a saved view the person's own in this browser, and
    shows it; of a sweep
                                       whose views were deleted for newer ones, it shows the jobs in
                                       their order
    /open/EXPERIMENT/RUN_ID            shows a run
    /sweep/NAME                        our own page of a sweep below outputs/sweeps

A saved view alone is only a preview: it is lost at a reload. MLflow keeps what a person last saw of
an experiment in the browser's local storage; `/open` writes the saved view there, as its button
"Override saved view" does, and marks the assistant, which opens over the first page by itself, as
opened. `python -m runner ui` starts the server with it; `mlflow server --app-name factor-runner`
does so for a server of your own.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from typing import TYPE_CHECKING, Any, cast, get_args

from runner.record.rundir import SWEEPS
from runner.sinks import view

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

NAME, PROBE = (
    "factor-runner",
    "plugged-in",
)  # what a server answers to the question whether it has the plug-in
STORE = "RUNNER_UI_STORE"  # variable of the environment that names the store that `ui` serves
# for experiments made by others through this server; ours say where their artifacts lie
ROOT = "./mlruns"
RUN = re.compile("[0-9a-f]{32}")
EXPERIMENT = re.compile("[0-9]{1,20}")
# where MLflow keeps what was last seen
KEPT = "MLflowLocalStorage-1.1-ExperimentPage-{key}-ReactComponentState"
OPENED, PANEL = "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "mlflow.assistant.panelOpen_v1"
FACETS = {
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
}
PAGE = """<!doctype html><meta charset="utf-8"><title>MLflow</title>
<script nonce="{nonce}">
const told = {told};
for (const [name, value] of Object.entries(told.kept)) localStorage.setItem(name, value);
location.replace("/" + told.path);
</script>
<noscript>This page needs JavaScript, as MLflow does.</noscript>
"""
OPEN_POLICY = "default-src 'none'; script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'"
PAGE_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)


def served() -> FastAPI:
    """The application that `python -m runner ui` serves, on the store that the environment
    names.
    """
    from mlflow.server import constants

    uri = os.environ[STORE]
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = uri
    os.environ[constants.REGISTRY_STORE_URI_ENV_VAR] = uri
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = ROOT
    from mlflow.server.handlers import initialize_backend_stores

    initialize_backend_stores(uri, uri, ROOT)
    app = create()
    app.add_middleware(SameOrigin)
    return app


class SameOrigin:
    """Refuses what a page of another origin asks for.

    MLflow takes every port of this machine for one origin, so that any page that another program
    serves there could read the store and write to it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_of_another_origin(scope):
            refusal = _answer("asked for by a page of another origin", 403)
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _is_of_another_origin(scope: Scope) -> bool:
    """Whether a browser names an origin, and that is not where this server is asked."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    if origin is None:
        return False
    _, _, place = origin.partition(b"://")
    return bool(place != headers.get(b"host"))


def create() -> FastAPI:
    """MLflow's application with our routes before its own; its checks of hosts and origins hold
    for them too.
    """
    from mlflow.server.fastapi_app import app
    from starlette.routing import Route

    ours = [
        Route("/open/{experiment}/{key}", opened, methods=["GET"]),
        Route("/sweep/{name}", sweep_page, methods=["GET"]),
    ]
    app.router.routes[:0] = ours
    return app


def opened(request: Request) -> Response:
    """The page that writes a saved view into the browser and goes on to it."""
    experiment, key = request.path_params["experiment"], request.path_params["key"]
    if (experiment, key) == ("0", PROBE):
        return _answer(NAME)
    mode = request.query_params.get("mode", "TABLE")
    known = EXPERIMENT.fullmatch(experiment) and (view.KEY.fullmatch(key) or RUN.fullmatch(key))
    if not known or mode not in get_args(view.Mode):
        return _answer("no such view", 404)
    if RUN.fullmatch(key):
        return _page({}, view.run_path(experiment, key))
    state = _state(experiment, key)
    if state is None and _is_sweep(experiment, view.sweep_of(key)):
        return _page(
            {},
            view.facets_path(
                experiment, view.facets_of(view.sweep_of(key)), cast("view.Mode", mode)
            ),
        )
    if state is None:
        return _answer("no such view", 404)
    own = KEPT.format(key=json.dumps([experiment]))
    path = view.facets_path(experiment, state, cast("view.Mode", mode))
    return _page({own: json.dumps({**FACETS, **state})}, path)


def sweep_page(request: Request) -> Response:
    """Our page of the sweep with this name, and no other file."""
    from starlette.responses import HTMLResponse

    name = request.path_params["name"]
    if name in (".", "..") or "/" in name or not name.isprintable():
        return _answer("no such sweep", 404)
    path = SWEEPS / name / "report" / "report.html"
    place = path.resolve()
    if not place.is_relative_to(SWEEPS.resolve()) or not place.is_file():
        return _answer("no such sweep", 404)
    return HTMLResponse(
        place.read_text(encoding="utf-8"), headers={"Content-Security-Policy": PAGE_POLICY}
    )


def _state(experiment: str, key: str) -> dict[str, Any] | None:
    """The saved view of the experiment, None where there is none."""
    from mlflow.exceptions import MlflowException
    from mlflow.server.handlers import _get_tracking_store

    try:
        store = _get_tracking_store()
        experiment_of_key = store.get_experiment(experiment)
        tags = experiment_of_key.tags
        return view.decoded(tags[f"{view.TAG}{key}"])
    except (MlflowException, KeyError, ValueError):
        return None


def _is_sweep(experiment: str, sweep: str) -> bool:
    """Whether the experiment has the parent run of a sweep with this id: views of older sweeps are
    deleted.
    """
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException
    from mlflow.server.handlers import _get_tracking_store

    where = f"tags.`sweep.id` = '{sweep}' and tags.role = 'sweep'"
    try:
        return bool(
            _get_tracking_store().search_runs(
                [experiment], where, ViewType.ACTIVE_ONLY, max_results=1
            )
        )
    except MlflowException:
        return False


def _page(kept: dict[str, str], path: str) -> Response:
    """A page that writes into local storage and goes on to a path of this server; what it holds is
    no markup.
    """
    from starlette.responses import HTMLResponse

    nonce = secrets.token_urlsafe(16)
    told = json.dumps({"kept": {**kept, OPENED: "true", PANEL: "false"}, "path": path})
    for letter in "<>&\u2028\u2029":
        told = told.replace(letter, f"\\u{ord(letter):04x}")
    headers = {
        "Content-Security-Policy": OPEN_POLICY.format(nonce=nonce),
        "Cache-Control": "no-store",
    }
    with_nonce = PAGE.replace("{nonce}", nonce)
    html = with_nonce.replace("{told}", told)
    return HTMLResponse(html, headers=headers)


def _answer(text: str, status: int = 200) -> Response:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(text, status_code=status)


def plugged_in(uri: str) -> bool:
    """Whether the tracking server at this address has our plug-in."""
    from urllib.request import build_opener

    try:
        with build_opener().open(f"{uri.rstrip('/')}/open/0/plugged-in", timeout=5) as answer:
            return bool(answer.status == 200 and answer.read() == b"factor-runner")
    except (OSError, ValueError):
        return False

"""The verb `ui`, seen in a browser: one link opens the runs table with its columns."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import run_cli

from runner.errors import DataError, RunnerError, SpecError
from runner.sinks import view
from runner.ui import serve

ROOT = Path(__file__).parents[1]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
METRICS = ["oos/r2", "oos/rmse", "fit/r2", "fit/n_obs"]
METRICS += [f"{what}/{term}" for term in ("HML", "MktRF", "SMB", "const") for what in ("coef", "tstat")]
OVERRIDES = [["data.assets=[S1V5]"], ["data.assets=[S1V5]", "model.cov=HAC"], ["data.assets=[S5V1]", "model.cov=HC3"]]
NAMES = ["ff3 assets=[S1V5]", "ff3 assets=[S1V5] cov=HAC", "ff3 assets=[S5V1] cov=HC3"]
STATE = view.view_state(METRICS, ["model.cov"], ["kind"], "oos/r2")


def test_view_is_stable_and_named_after_its_content() -> None:
    again = view.view_state(METRICS, ["model.cov"], ["kind"], "oos/r2")
    assert again == STATE
    assert view.view_tag(STATE) == view.TAG + view.runs_path("1", STATE).rpartition("=")[2]
    assert view.view_tag(view.view_state(METRICS[:1], [], [])) != view.view_tag(STATE)


def test_paths_name_the_runs_table_and_the_compared_runs() -> None:
    assert view.runs_path("7") == "#/experiments/7/runs?workflowType=machine_learning"
    compared = view.compare_path("7", ["a", "b"])
    assert compared.startswith("#/compare-runs?runs=%5B%22a%22%2C%22b%22%5D&experiments=%5B%227%22%5D")


def test_this_mlflow_has_the_shared_views_we_know() -> None:
    from importlib.metadata import version

    assert view.known(version("mlflow")) and not view.known("3.18.0") and not view.known("4.17.1")


def test_a_taken_port_is_a_mistake_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SpecError, match=f"^port {port}: .*; choose another with --port$"):
            serve(f"sqlite:///{tmp_path}/mlflow.db", port, "")


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        serve(f"sqlite:///{tmp_path}/mlflow.db", 0, "")
    assert not list(tmp_path.iterdir())


def test_a_server_that_dies_says_why_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be looked at")
    with pytest.raises(RunnerError, match=r"did not start: .*file is not a database$"):
        serve(f"sqlite:///{tmp_path}/mlflow.db", 0, "")


@dataclass
class Store:
    """Real runs in a real store: their ids, metrics and parameters by name."""

    folder: Path
    experiment: str
    runs: dict[str, Any]


@dataclass
class Visit:
    """A browser page and what went wrong on it."""

    page: Any
    shots: Path
    base: str
    errors: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(f"{self.base}/{path}")

    def shoot(self, name: str) -> None:
        self.page.screenshot(path=self.shots / f"{name}.png")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Three runs of the command line, as a user makes them."""
    for words in OVERRIDES:
        assert run_cli(tmp_path, *words).code == 0
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    experiment = client.get_experiment_by_name("factor-runner").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert sorted(runs) == sorted(NAMES)
    return Store(tmp_path, experiment, runs)


@contextmanager
def served(folder: Path, *words: str) -> Iterator[str]:
    """The printed link of a running `ui`, which must end with 0 and leave nothing where it was started."""
    command = [sys.executable, "-m", "runner", "ui", "--port", "0", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().removeprefix("MLflow UI: ").strip()
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()
    assert (process.returncode, rest) == (0, "")
    assert not {"mlruns", "mlartifacts", "mlflow.db"} & {path.name for path in folder.iterdir()}


@pytest.fixture
def link(store: Store) -> Iterator[str]:
    with served(store.folder) as printed:
        yield printed


@pytest.fixture
def visit(link: str, tmp_path: Path) -> Iterator[Visit]:
    with visited(link, tmp_path) as one:
        yield one


@contextmanager
def visited(link: str, tmp_path: Path) -> Iterator[Visit]:
    """A fresh browser; the assistant that MLflow opens by itself and the banner of the view are put away."""
    if not CHROMIUM:
        pytest.skip("no chromium on the path")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    shots = Path(os.environ.get("RUNNER_SCREENSHOTS") or tmp_path / "screenshots")
    shots.mkdir(parents=True, exist_ok=True)
    api.expect.set_options(timeout=30_000)
    with api.sync_playwright() as play, play.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 820})
        yield _watched(Visit(page, shots, link.partition("/#")[0]))


def _watched(visit: Visit) -> Visit:
    """Note errors and requests that leave this machine; close what MLflow lays over its pages."""
    page = visit.page
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.on("console", lambda said: visit.errors.extend(_complaint(said)))
    page.on("request", lambda asked: visit.errors.extend(_abroad(asked.url, visit.base)))
    for name in ("Close", "Hide banner"):
        button = page.get_by_role("button", name=name, exact=True)
        page.add_locator_handler(button, lambda found: found.click())
    return visit


def _complaint(said: Any) -> list[str]:
    """An error on the console, except that a server without accounts knows no current user."""
    known = said.location["url"].endswith("/users/current")
    return [said.text] if said.type == "error" and not known else []


def _abroad(url: str, base: str) -> list[str]:
    """The address if it is not on the server itself."""
    return [] if url.startswith((base, "data:", "blob:", "about:")) else [url]


def _row(page: Any, name: str) -> tuple[Any, Any]:
    """The two halves of the table row of a run: the pinned one with its name, the other with its values."""
    pinned = page.locator(".ag-pinned-left-cols-container .ag-row", has_text=name)
    key = pinned.get_attribute("row-id")
    return pinned, page.locator(f'.ag-center-cols-container .ag-row[row-id="{key}"]')


def _see_runs(visit: Visit, link: str, store: Store) -> None:
    """The printed link shows the runs, best first, with the columns of the view."""
    from playwright.sync_api import expect

    visit.page.goto(link)
    rows = ".ag-pinned-left-cols-container .ag-row"
    expect(visit.page.locator(rows)).to_have_count(len(NAMES))
    best = sorted(NAMES, key=lambda name: -store.runs[name].data.metrics["oos/r2"])[0]
    expect(visit.page.locator(f'{rows}[row-index="0"]')).to_contain_text(best.split("[")[1].split("]")[0])
    _see_columns(visit.page)
    for name in NAMES:
        _see_values(visit.page, store.runs[name])
    visit.shoot("runs")


def _see_columns(page: Any) -> None:
    """The headers of the view that fit the window, in its order from left to right."""
    from playwright.sync_api import expect

    columns = json.loads(json.loads(STATE)["state"])["selectedColumns"][:7]
    headers = [page.locator(f'.ag-header-cell[col-id="{column}"]') for column in columns]
    for header, name in zip(headers, ["kind", "model.cov", *METRICS], strict=False):
        expect(header).to_have_text(name)
    left = [header.bounding_box()["x"] for header in headers]
    assert left == sorted(left)


def _see_values(page: Any, run: Any) -> None:
    """The cells of a run hold what was logged; columns beyond the window are drawn when scrolled to."""
    from playwright.sync_api import expect

    values = page.locator(f'.ag-center-cols-container .ag-row[row-id="{run.info.run_id}"]')
    cells = {f"metrics.`{key}`": f"{run.data.metrics[key]:.10g}"[:8] for key in METRICS[:5]}
    for column, text in {
        **cells,
        "tags.`kind`": "explanatory",
        "params.`model.cov`": run.data.params["model.cov"],
    }.items():
        expect(values.locator(f'[col-id="{column}"]')).to_contain_text(text)


def _press_compare(visit: Visit, chosen: list[str], store: Store) -> None:
    """Two runs ticked and Compare pressed lead to their comparison."""
    for name in chosen:
        key = store.runs[name].info.run_id
        row = visit.page.locator(f'.ag-pinned-left-cols-container .ag-row[row-id="{key}"]')
        row.locator("input[type=checkbox]").first.check()
    visit.page.get_by_role("button", name="Compare", exact=True).click()
    _see_comparison(visit, chosen, store)


def _see_comparison(visit: Visit, chosen: list[str], store: Store) -> None:
    """The names and the metrics of the compared runs are on the page."""
    from playwright.sync_api import expect

    expect(visit.page.get_by_role("heading", name=f"Comparing {len(chosen)} Runs")).to_be_visible()
    metrics = [store.runs[name].data.metrics for name in chosen]
    columns = [f"coef/{term}" for term in ("HML", "MktRF", "SMB")]  # the page draws long tables as they scroll
    shown = [f"{round(one[key], 3):g}" for one in metrics for key in columns]
    visit.shoot("compare")
    for text in (*chosen, *columns, *shown):
        expect(visit.page.get_by_text(text, exact=True).first).to_be_visible()


def _see_table(visit: Visit, store: Store, name: str) -> None:
    """The coefficients of a run as a table, read from where the run put them."""
    from playwright.sync_api import expect

    visit.open(view.artifact_path(store.experiment, store.runs[name].info.run_id, "coefficients.json"))
    for text in ("term", "estimate", "MktRF"):
        expect(visit.page.get_by_text(text, exact=True).first).to_be_visible()
    visit.shoot("coefficients")


def test_ui_in_a_browser(visit: Visit, link: str, store: Store) -> None:
    from playwright.sync_api import expect

    chosen = NAMES[1:]
    _see_runs(visit, link, store)
    _press_compare(visit, chosen, store)
    visit.open(view.compare_path(store.experiment, [store.runs[name].info.run_id for name in chosen]))
    _see_comparison(visit, chosen, store)
    visit.page.get_by_text("coef/HML", exact=True).last.scroll_into_view_if_needed()
    visit.shoot("compare_metrics")
    _see_table(visit, store, chosen[1])
    visit.page.get_by_text("report.html", exact=True).click()
    report = visit.page.frame_locator("iframe").first
    expect(report.get_by_role("heading", name="Coefficients").first).to_be_visible()
    visit.shoot("report_in_mlflow")
    assert visit.errors == []


@pytest.mark.browser
def test_the_jobs_of_a_sweep_in_a_browser(tmp_path: Path) -> None:
    """`ui --sweep` opens on the jobs of that sweep alone, best first, with what differs, score and coefficients."""
    from playwright.sync_api import expect

    assert run_cli(tmp_path, "data.assets=[S1V5]").code == 0  # a run that is no job
    words = ["data.assets=[S1V5]", "model.regressors=[MktRF],[MktRF,SMB]", "model.hypotheses=[]"]
    assert run_cli(tmp_path, "-m", *words, "hydra.sweep.dir=outputs/sweeps/mine").code == 0
    with served(tmp_path, "--sweep", "mine") as link, visited(link, tmp_path) as visit:
        visit.page.goto(link)
        rows = visit.page.locator(".ag-pinned-left-cols-container .ag-row")
        expect(rows).to_have_count(2)
        first = visit.page.locator('.ag-center-cols-container .ag-row[row-index="0"]')
        expect(first.locator('[col-id="params.`model.regressors`"]')).to_contain_text("SMB")
        expect(first.locator('[col-id="metrics.`oos/r2`"]')).to_contain_text("0.78")
        visit.shoot("sweep")
        for name in ("fit/r2", "coef/MktRF", "tstat/MktRF", "coef/SMB"):
            header = visit.page.locator(f'.ag-header-cell[col-id="metrics.`{name}`"]')
            header.scroll_into_view_if_needed()
            expect(header).to_be_visible()
        assert visit.errors == []

"""A notebook as a new user writes it: own data, three models compared, a picture."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

CELLS = [
    """
import numpy as np
import pandas as pd
import runner

rng = np.random.default_rng(1)
dates = pd.bdate_range("2019-01-01", periods=400)
value = rng.standard_normal((400, 6))
returns = 0.01 * rng.standard_normal((400, 6))
returns[1:] += 0.002 * value[:-1]
wide = pd.DataFrame(returns, dates, list("ABCDEF")).rename_axis(columns="asset")
frame = wide.rename_axis("date").stack().rename("ret").reset_index()
frame["value"] = value.ravel()
""",
    """
spec = ["target=forward_return", "features=none", "+features.value=value", "validation=walk_forward"]
pooled = runner.run(*spec, "model=pooled", data=frame)
pooled
""",
    """
ridge = runner.run(*spec, "model=ridge_pooled", data=frame)
premia = runner.run(*spec, "model=fama_macbeth", data=frame)
runner.compare(pooled, ridge, premia)
""",
    """pooled.figures["coefficients"]""",
    """pooled.coefficients""",
]


def test_a_notebook_of_a_new_user_runs_and_shows(tmp_path: Path) -> None:
    notebook = new_notebook(cells=[new_code_cell(source.strip()) for source in CELLS])
    client = NotebookClient(
        notebook,
        timeout=300,
        resources={"metadata": {"path": str(tmp_path)}},
        kernel_name="python3",
    )
    client.execute()
    outputs = [cell["outputs"] for cell in notebook["cells"]]
    assert outputs[0] == []
    report, comparison, picture, table = (shown[-1]["data"] for shown in outputs[1:])
    assert "Coefficients" in report["text/html"]
    assert "Leaderboard" in comparison["text/html"]
    assert picture["image/png"]
    assert "std_error" in table["text/html"]
    assert all(len(shown) == 1 for shown in outputs[1:]), "nothing is printed beside what is asked"
    assert list(tmp_path.iterdir()) == []
    nbformat.validate(notebook)

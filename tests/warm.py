"""What the command line imports, imported once for all the processes that tests fork from it: see starting.py."""

from runner import __main__  # noqa: F401  # before numpy: it sets how many threads numpy takes
from runner.cli import composition  # noqa: F401
from runner.sinks.stores import store

store.quiet()  # before mlflow is imported

import matplotlib.backends.backend_agg  # noqa: E402, F401
import mlflow.store.tracking.sqlalchemy_store  # noqa: E402, F401

from runner.sinks import job  # noqa: E402, F401
from runner.sweeps import conduct, work  # noqa: E402, F401

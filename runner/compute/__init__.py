"""What the runs of one process share; memory; who runs calls."""

from runner.names import lazily

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "Dask": "executors.dask",
        "Executor": "executors.executor",
        "Inline": "executors.local",
        "Processes": "executors.local",
        "Slurm": "executors.slurm",
        "Threads": "executors.local",
    },
)

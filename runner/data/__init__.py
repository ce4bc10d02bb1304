"""Where data comes from, and the market that it becomes."""

from runner.names import lazily

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "ArchData": "sources.arch_data",
        "File": "sources.file",
        "Frame": "sources.frame",
        "French": "sources.french",
        "Market": "market",
        "Simulated": "sources.simulation.simulated",
        "SimulatedFactors": "sources.simulation.factor_truth",
        "Yahoo": "sources.yahoo",
    },
)

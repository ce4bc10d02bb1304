"""A declarative experiment runner for factor regressions."""

__version__ = "0.1.0"

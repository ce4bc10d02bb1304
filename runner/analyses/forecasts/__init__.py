"""Analyses of out-of-sample forecasts."""

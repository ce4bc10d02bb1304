"""Analyses of the returns of trading on forecasts."""

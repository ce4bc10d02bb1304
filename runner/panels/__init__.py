"""Rows of target and features, and what is by date, asset or group."""

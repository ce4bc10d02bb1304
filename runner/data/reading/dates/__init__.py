"""Dates and times of day: every way to write them, and columns of them."""

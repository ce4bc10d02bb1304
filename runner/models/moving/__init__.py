"""Models that are fitted anew at every row, on a window that moves."""

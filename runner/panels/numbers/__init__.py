"""The numbers of a panel: gathered from the market, kept as arrays or rows, marked as usable."""

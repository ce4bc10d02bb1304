"""Sources whose truth is known: returns, prices and factors drawn from a seed."""

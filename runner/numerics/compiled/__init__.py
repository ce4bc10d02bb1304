"""What is compiled by numba where that pays: sums of moments, and sums over windows."""

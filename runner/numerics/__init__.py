"""Arrays in, arrays out: sums, solves, covariances, tests."""

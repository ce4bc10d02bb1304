"""Tables as a journal prints them: regressions, descriptive statistics, correlations."""

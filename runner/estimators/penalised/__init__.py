"""Ridge, LASSO and elastic net: least squares whose slopes are penalised."""

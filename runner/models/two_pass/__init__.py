"""Two-pass cross-sectional regressions: betas first, premia second."""

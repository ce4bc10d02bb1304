"""What is computed after the fit: a function of the study each, giving a finding."""

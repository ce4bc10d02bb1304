"""Sources of data, one module each."""

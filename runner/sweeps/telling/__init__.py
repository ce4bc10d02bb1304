"""Where the comparison of a sweep goes: page, pictures, terminal, MLflow."""

"""Where MLflow keeps runs."""

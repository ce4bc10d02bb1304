"""Analyses of covariances and risk models."""

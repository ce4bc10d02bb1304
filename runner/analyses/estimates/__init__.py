"""Analyses of estimates and their stability."""

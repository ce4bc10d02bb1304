"""Formats of files: how each is recognised by its first bytes, and how it is opened."""

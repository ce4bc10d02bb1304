"""Trying a spec for look-ahead."""

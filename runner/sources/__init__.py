"""Where data comes from: each source is a frozen dataclass of settings with `load() -> Market`."""

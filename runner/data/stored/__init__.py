"""Markets on disk: fields of more rows than fit into memory, read a stretch of dates at a time."""

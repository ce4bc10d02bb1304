"""Where a report goes: each sink takes the report and a directory, or a store."""

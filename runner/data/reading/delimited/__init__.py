"""Text files with columns: where their table stands, and how it is cut."""

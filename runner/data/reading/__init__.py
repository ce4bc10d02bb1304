"""From files to tables, and from the texts of a table to names, dates and numbers."""

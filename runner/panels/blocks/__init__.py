"""A panel by blocks of dates, in files: for data whose rows do not fit into memory."""

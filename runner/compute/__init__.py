"""What the runs of one process share."""

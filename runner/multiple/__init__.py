"""What is left of the findings of a sweep once it pays for how many it tried."""

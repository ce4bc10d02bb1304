"""What a field of a market is, however its numbers are held."""

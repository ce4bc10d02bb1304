"""What a source gave, told as tables before anything is run on it."""

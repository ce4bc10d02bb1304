"""What the jobs of a sweep say beside each other."""

"""Published results as specs with the numbers that their papers print."""

"""Fixed effects of any one or two ways of grouping cells."""

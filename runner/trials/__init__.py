"""Many tests as one: multiple testing, hurdles and the verdict."""

"""Many specs as one: their plan, who runs them, taking them up again, and all of them compared."""

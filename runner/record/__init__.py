"""What is kept of a run: its directory, its ledger, what makes it known."""

"""How a run is told: in few sentences, on which console, and what is shown while it works."""

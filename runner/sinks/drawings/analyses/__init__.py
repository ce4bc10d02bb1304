"""Pictures of the analyses."""

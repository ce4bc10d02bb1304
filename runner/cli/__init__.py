"""The command line: Hydra, the verbs, completion."""

"""Settings and rows become estimates and their errors."""

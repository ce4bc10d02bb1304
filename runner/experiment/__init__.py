"""From a spec to a report and its reading."""

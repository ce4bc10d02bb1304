"""The documentation of the installed version as pages of HTML: `python -m runner docs`."""

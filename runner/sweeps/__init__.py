"""Many specs as one: what is planned, run by whom, taken up again, and what all of it says
together.
"""

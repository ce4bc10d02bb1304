"""The parts of the leak audit: where the data are cut, what is compared, and what a function takes
from elsewhere.
"""

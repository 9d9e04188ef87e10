"""The scorer's sums written on other stream processors, to be compared with; each in an environment of its own.

They do less than the scorer: no history, no check for repeats, no decision, no explanation; and count at least once.
"""

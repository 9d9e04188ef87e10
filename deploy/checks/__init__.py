"""The checks that `deploy/check.py` runs."""

"""Verification: run a tree's tests, read what happened, judge it against the base and find who is responsible."""

"""Verification: which tests to run, in which interpreter, what they said and whose failure it is."""

"""Prefect blocks: what a user configures in the UI."""

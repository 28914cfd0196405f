"""The report of a run: its model and schema, and how it is shown to people."""

"""The spellings of a plan file: how each is read, with line numbers, and what is wrong with it said."""

"""The flows: what happens in which order. `build` is the one to start and to read first."""

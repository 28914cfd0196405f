"""Git: one wrapper for every call, the hub, worktrees, merging in the object database, landing."""

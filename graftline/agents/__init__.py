"""Agents: one file per CLI behind one protocol, and the judgement of how an attempt ended."""

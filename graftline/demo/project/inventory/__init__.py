"""A small inventory of items, their prices and quantities."""

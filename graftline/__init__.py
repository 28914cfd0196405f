"""graftline: a plan of coding tasks becomes a Prefect flow of AI agents, and its tested result lands."""

__version__ = "0.1.0"

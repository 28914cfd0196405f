"""What prefect.yaml needs."""

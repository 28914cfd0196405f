"""What Prefect needs to run the flows on a server: prefect.yaml; `python -m graftline.deployments` prints its path."""

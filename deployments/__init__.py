"""Code that prefect.yaml needs: none yet, its one deployment is a dotted entrypoint and a work pool."""

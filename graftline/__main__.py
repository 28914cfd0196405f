"""`python -m graftline`: the command line."""

from graftline.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m graftline`: the command line, for where the console script is not on PATH."""

from graftline.cli import main

raise SystemExit(main())

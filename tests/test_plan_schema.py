"""The committed JSON schema is the one the code stands for."""

from pathlib import Path

import graftline
from graftline.spellings.plan_file import schema_text


def test_committed_schema_has_not_drifted() -> None:
    committed = Path(graftline.__file__).parent / "plan.schema.json"
    assert committed.read_text(encoding="utf-8") == schema_text(), (
        "write it anew: python -c 'from graftline.spellings.plan_file import schema_text as t; print(t(), end=\"\")' "
        "> graftline/plan.schema.json"
    )

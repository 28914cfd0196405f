"""The planner of the end-to-end tests: the `anthropic` provider, with the scripted model behind it."""

import json
from collections.abc import Mapping, Sequence

from graftline.prices import ModelPrice
from tests.model_server import ModelServer, RequestRecord

NAMESPACE = "planner"
MODEL = "claude-planning-1"
PRICE = ModelPrice(input=3.0, output=15.0, cached=0.3)


def planner_settings(server: ModelServer, **more: object) -> str:
    """The planner and the price of its model, as a part of graftline.toml."""
    planner = {"provider": "anthropic", "model": MODEL, "base_url": server.url_for(NAMESPACE), **more}
    tables = {"planner": planner, f'prices."{MODEL}"': PRICE.model_dump()}
    return "".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in tables.items()
    )


def planner_scenario(request: str, answers: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """What the planner says to a request, try by try; every try reads more, most of it from the provider's cache."""
    turns = [
        {
            "structured": answer,
            "usage": {
                "input_tokens": 900 + 100 * number,
                "output_tokens": 2500 + number,
                "cache_write_tokens": 0 if number else 14_000,
                "cache_read_tokens": 14_000 if number else 0,
            },
        }
        for number, answer in enumerate(answers)
    ]
    return {"match": request, "model": MODEL, "without_tools": True, "turns": turns}


def asked(records: Sequence[RequestRecord]) -> list[RequestRecord]:
    """What the planner was asked, in order."""
    return [record for record in records if record.namespace == NAMESPACE]

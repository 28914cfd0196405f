"""The report's JSON: its published schema, its honesty about cost, and the exit code it stands for."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import graftline
from graftline.errors import ExitCode
from graftline.report.model import EXIT_CODES, Report, RunState, exit_code, schema_text, to_json

MakeReport = Callable[[str], Report]
SCHEMA = Path(graftline.__file__).with_name("report.schema.json")
REWRITE = (
    "write it anew: python -c 'from graftline.report.model import schema_text; print(schema_text(), end=\"\")' "
    "> graftline/report.schema.json"
)


def test_published_schema_is_that_of_the_models() -> None:
    assert SCHEMA.read_text() == schema_text(), REWRITE


def test_schema_and_json_name_the_same_fields_with_an_enum_for_every_state(make_report: MakeReport) -> None:
    schema = json.loads(SCHEMA.read_text())
    report = json.loads(to_json(make_report("x")))
    parts = {
        "TaskReport": report["tasks"][0],
        "AttemptReport": report["tasks"][0]["attempts"][0],
        "TestReport": report["tests"],
        "TestFailure": report["tests"]["failures"][0],
        "HealReport": report["heals"][0],
        "ConflictReport": report["conflicts"][0],
        "SalvageReport": report["salvage"][0],
        "CapReport": report["caps_reached"][0],
        "EstimateReport": report["estimate"],
        "Interval": report["estimate"]["seconds"],
        "Coverage": report["estimate"]["run_costs"],
    }
    assert set(schema["required"]) == set(schema["properties"]) == set(report)
    for name, part in parts.items():
        definition = schema["$defs"][name]
        assert set(definition["required"]) == set(definition["properties"]) == set(part), name
    assert report["conflicts"] == [{"task": "docs", "with": ["api"], "files": ["x"]}]
    assert schema["properties"]["state"] == {"$ref": "#/$defs/RunState"}
    assert [name for name, definition in schema["$defs"].items() if "enum" in definition] == [
        "HealOutcome",
        "OutcomeKind",
        "RunState",
        "Scope",
        "TaskState",
    ]


@given(foreign=st.text(st.characters()))
def test_report_round_trips_whatever_agents_wrote(make_report: MakeReport, foreign: str) -> None:
    report = make_report(foreign)
    assert Report.model_validate_json(to_json(report)) == report


def test_text_that_is_not_unicode_does_not_cost_the_report(make_report: MakeReport) -> None:
    assert json.loads(to_json(make_report("caf\udce9.py")))["reason"] == "caf?.py"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cost_usd": 0.36}, "cost_usd must be null exactly when"),
        ({"unknown_calls": 0}, "cost_usd must be null exactly when"),
        ({"unknown_calls": 0, "cost_usd": 0.0, "cost_unknown_usd": 0}, "cost_usd must be cost_known_usd"),
        ({"unknown_calls": 0, "cost_usd": 0.36}, "nothing else count"),
        ({"state": "landed"}, "must name the commit it landed"),
        ({"state": "held", "branch": None}, "must name the branch"),
        ({"state": "on-branch", "branch": None}, "must name the branch"),
        ({"cost_known_usd": -1.0}, "greater than or equal to 0"),
        ({"invented": 1}, "Extra inputs are not permitted"),
    ],
)
def test_report_that_contradicts_itself_is_refused(
    make_report: MakeReport, change: dict[str, object], message: str
) -> None:
    fields = json.loads(to_json(make_report("x")))
    with pytest.raises(ValidationError, match=message):
        Report.model_validate({**fields, **change})


@pytest.mark.parametrize("cost", ["NaN", "Infinity"])
def test_cost_that_is_no_number_is_refused(make_report: MakeReport, cost: str) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Report.model_validate_json(to_json(make_report("x")).replace("0.36", cost))


def test_every_state_has_an_exit_code_and_only_what_was_asked_for_is_success(make_report: MakeReport) -> None:
    assert set(EXIT_CODES) == set(RunState)
    successes = {state for state, code in EXIT_CODES.items() if code is ExitCode.SUCCESS}
    assert successes == {RunState.LANDED, RunState.ON_BRANCH, RunState.NOTHING_TO_LAND}
    assert exit_code(make_report("x")) is ExitCode.WORK_FAILED

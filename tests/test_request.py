"""The parameter of the flow, which other systems send and nobody has to have validated before."""

import pytest
from pydantic import ValidationError

from graftline.plan import Plan, TaskSpec
from graftline.request import BuildRequest, RequestLimits

PLAN = Plan(tasks=(TaskSpec(id="a", prompt="do it"),))


@pytest.mark.parametrize(
    "fields",
    [{}, {"prompt": " \n"}, {"plan_file": "plan.md", "plan": PLAN}, {"prompt": "Add it", "plan_file": "plan.md"}],
)
def test_a_request_names_one_plan_or_says_in_words_what_to_build(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="give one of prompt, plan_file and plan, and not two"):
        BuildRequest.model_validate(fields)


@pytest.mark.parametrize(
    "wrong",
    [{"max_cost": 1}, {"repository": ""}, {"land": "push"}, {"limits": {"max_concurrent": 0}}, {"limits": {"x": 1}}],
)
def test_what_nobody_knows_or_nobody_can_do_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BuildRequest.model_validate({"plan_file": "plan.md", **wrong})


def test_a_request_in_words_is_called_by_its_first_line() -> None:
    assert BuildRequest(prompt="\n Add a limit\nto the API").title == "Add a limit"


def test_only_what_a_request_decides_overrides_the_settings() -> None:
    assert BuildRequest(plan=PLAN).overrides() == {}
    limits = RequestLimits(max_concurrent=2, max_cost_usd=0, task_timeout_seconds=5, run_timeout_seconds=60)
    assert BuildRequest(plan=PLAN, agent="x", land="branch", approve=False, limits=limits).overrides() == {
        "agent.backend": "x",
        "agent.max_concurrent": 2,
        "cost.max_usd": 0,
        "timeouts.task_seconds": 5,
        "timeouts.run_seconds": 60,
        "git.land": "branch",
        "planner.approve": False,
    }


def test_a_request_survives_the_json_that_prefect_stores() -> None:
    request = BuildRequest(plan=PLAN, target="main", limits=RequestLimits(max_cost_usd=1))
    assert BuildRequest.model_validate_json(request.model_dump_json()) == request


def test_a_request_sent_on_says_no_more_than_what_was_said() -> None:
    request = BuildRequest(plan_file="plan.md", limits=RequestLimits(max_concurrent=2))

    assert request.model_dump(mode="json") == {
        "repository": ".",
        "prompt": "",
        "plan_file": "plan.md",
        "target": "",
        "agent": "",
        "limits": {"max_concurrent": 2},
    }


def test_the_form_made_from_the_schema_explains_every_field_and_has_one_switch() -> None:
    schema = BuildRequest.model_json_schema()

    fields = schema["properties"] | schema["$defs"]["RequestLimits"]["properties"]
    assert [name for name, field in fields.items() if not (field.get("description") and field.get("title"))] == []
    # A union is drawn as a switch between its types; null as a default is refused where null is no type.
    assert [name for name, field in fields.items() if "anyOf" in field] == ["plan"]
    assert [name for name, field in fields.items() if field.get("default", "") is None] == ["plan"]
    assert list(schema["properties"]) == [
        "repository",
        "prompt",
        "plan_file",
        "plan",
        "approve",
        "target",
        "land",
        "agent",
        "limits",
    ]

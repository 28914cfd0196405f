"""The one parameter of the `build` flow: what to run, on which repository, within which limits.

Its schema is the run form of Prefect's UI: a title is a label there, a description stands below it, and the fields come
in this order. It is validated three times: by the Prefect server against the schema, by Prefect when the flow starts,
and here by whoever acts on it, because a caller of the REST API can switch the first two off.
"""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from graftline.plan import Plan, Text

MOST_CHARACTERS = 100_000
"""How long a request in words may be: Prefect keeps it with the run."""


def _draw_plain_fields(schema: dict[str, Any]) -> None:
    """Take null out of the fields' schemas: the form then shows a field, and not a switch between a type and "None"."""
    for field in schema["properties"].values():
        if "anyOf" in field and "$ref" not in field["anyOf"][0]:
            del field["default"]
            field.update(field.pop("anyOf")[0])


class _Partial(BaseModel):
    """Fields of which those that were left out stay out when it is sent on."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=_draw_plain_fields)

    @model_serializer(mode="wrap")
    def _without_null(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {name: value for name, value in dump(self).items() if value is not None}


class RequestLimits(_Partial):
    """Limits of one run; what is left out comes from graftline.toml and the environment."""

    model_config = ConfigDict(allow_inf_nan=False)

    max_cost_usd: float | None = Field(
        default=None,
        ge=0,
        title="Cost cap in US dollars",
        description="No agent is called when the run could come to cost more than this",
    )
    max_concurrent: int | None = Field(
        default=None,
        ge=1,
        le=256,
        title="Agents at a time",
        description="How many tasks run side by side, 1 to 256",
    )
    task_timeout_seconds: float | None = Field(
        default=None,
        gt=0,
        title="Time limit of an attempt, in seconds",
        description="An agent that takes longer is ended, and its work is kept",
    )
    run_timeout_seconds: float | None = Field(
        default=None,
        gt=0,
        title="Time limit of the run, in seconds",
        description="A run that takes longer is ended, and nothing lands",
    )


def _require_one_plan(schema: dict[str, Any]) -> None:
    """Say in JSON Schema, too, that there is either a request in words, an inline plan or a plan file.

    The form would draw `oneOf` as a choice. The condition does without `required`, which the server ignores everywhere
    when it checks what a deployment decides beforehand. The plan is named once more because of `anyOf` one learns only
    that none of its branches is met, and not which field of which task is wrong.
    """
    _draw_plain_fields(schema)
    inline = schema["properties"]["plan"]["anyOf"][0]
    schema["if"] = {"properties": {"plan": {"type": "null"}}}
    schema["then"] = {
        "if": {"properties": {"plan_file": {"type": "string", "maxLength": 0}}},
        "then": {"properties": {"prompt": {"minLength": 1}}, "required": ["prompt"]},
        "else": {"properties": {"prompt": {"maxLength": 0}}},
    }
    schema["else"] = {"properties": {"plan": inline, "plan_file": {"maxLength": 0}, "prompt": {"maxLength": 0}}}


class BuildRequest(_Partial):
    """What to build: in words, which the planner turns into a plan, or a plan file in the repository, or the plan."""

    model_config = ConfigDict(json_schema_extra=_require_one_plan)

    repository: str = Field(
        default=".", min_length=1, description="Path of the git repository, on the machine the run is carried out on"
    )
    prompt: Text = Field(
        default="",
        max_length=MOST_CHARACTERS,
        title="What to build",
        description="In your own words: the planner makes a plan of it; empty with a plan file or an inline plan",
    )
    plan_file: str = Field(
        default="",
        title="Plan file",
        description="Path of the plan (.md, .yaml or .json) from the repository's root; empty with an inline plan",
    )
    plan: Plan | None = Field(default=None, title="Inline plan", description="The plan itself, instead of a file")
    approve: bool | None = Field(
        default=None,
        title="Approval",
        description=(
            "The run waits until a person has approved its plan; "
            "not selected: [planner] approve of the repository's graftline.toml"
        ),
    )
    target: str = Field(
        default="", title="Target branch", description="Branch to start from and to land on; empty: the checked-out one"
    )
    land: Literal["auto", "branch"] | None = Field(
        default=None,
        title="Landing",
        description=(
            "auto moves the target branch once the tests are green, branch leaves the result on a branch of its own; "
            "not selected: [git] land of the repository's graftline.toml"
        ),
    )
    agent: str = Field(
        default="",
        description=(
            "Agent profile, Prefect block or backend type of tasks that name none; "
            "empty: [agent] backend of the repository's graftline.toml"
        ),
    )
    limits: RequestLimits = Field(
        default=RequestLimits(),
        title="Limits",
        description="Of this run; those left empty come from the repository's graftline.toml",
    )

    @model_validator(mode="after")
    def _names_one_plan(self) -> Self:
        if [bool(self.prompt.strip()), bool(self.plan_file), self.plan is not None].count(True) != 1:
            msg = "give one of prompt, plan_file and plan, and not two"
            raise ValueError(msg)
        return self

    @property
    def title(self) -> str:
        """What a run of it is called that has no plan yet: the first line of the words."""
        return next(iter(self.prompt.strip().splitlines()), "")

    def overrides(self) -> dict[str, object]:
        """The settings this request decides, by dotted key."""
        decided: dict[str, object] = {
            "agent.backend": self.agent or None,
            "agent.max_concurrent": self.limits.max_concurrent,
            "cost.max_usd": self.limits.max_cost_usd,
            "timeouts.task_seconds": self.limits.task_timeout_seconds,
            "timeouts.run_seconds": self.limits.run_timeout_seconds,
            "git.land": self.land,
            "planner.approve": self.approve,
        }
        return {key: value for key, value in decided.items() if value is not None}

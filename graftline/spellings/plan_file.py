"""The form of our own plan files: a plan, and defaults for its tasks. Its JSON schema is committed for editors."""

import json

from pydantic import BaseModel, ConfigDict, Field

from graftline.plan import (
    Agent,
    ConcurrencyGroup,
    Environment,
    MaxRetries,
    Plan,
    Priority,
    TaskSpec,
    TaskTier,
    TimeoutSeconds,
)
from graftline.spellings.problems import KnownKeys

WHO = {"agent", "tier"}
"""Keys that say who does a task; one that has either takes neither from the defaults."""


class TaskDefaults(BaseModel):
    """What every task gets that does not say otherwise; `env` is merged name by name, and the task's wins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: Agent = None
    tier: TaskTier = None
    priority: Priority = 0
    timeout_seconds: TimeoutSeconds = None
    max_retries: MaxRetries = None
    concurrency_group: ConcurrencyGroup = None
    env: Environment = Field(default_factory=dict)


class PlanFile(Plan):
    """A plan as a YAML or JSON file spells it.

    In Markdown this is the front matter, and a prompt may stand below it, under a heading `## <task id>`.
    """

    model_config = ConfigDict(title="graftline plan")

    defaults: TaskDefaults = Field(default=TaskDefaults(), description="Values for tasks that do not say otherwise")

    def plan(self) -> Plan:
        """The plan with the defaults written into its tasks; null in a task is said otherwise, too."""
        tasks = tuple(map(self._completed, self.tasks))
        return Plan(version=self.version, title=self.title, description=self.description, tasks=tasks)

    def _completed(self, task: TaskSpec) -> TaskSpec:
        said = task.model_fields_set
        if said & WHO:  # or the agent of the defaults would go before the tier that the task asks for
            said = said | WHO
        given = {name: getattr(self.defaults, name) for name in self.defaults.model_fields_set - said}
        return task.model_copy(update=given | {"env": {**self.defaults.env, **task.env}})


KNOWN_KEYS: KnownKeys = {
    (): PlanFile.model_fields,
    ("tasks",): TaskSpec.model_fields,
    ("defaults",): TaskDefaults.model_fields,
}


def schema_text() -> str:
    """The JSON schema of our YAML and JSON manifests, as it is committed in `plan.schema.json`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **PlanFile.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"

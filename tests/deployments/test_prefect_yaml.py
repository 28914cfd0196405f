"""prefect.yaml, read with the model `prefect deploy` reads it with: a private one, but the only one that decides."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from prefect import Flow
from prefect.cli.deploy._models import DeploymentConfig, PrefectYamlModel
from prefect.flows import load_flow_from_entrypoint

from graftline.request import BuildRequest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "prefect.yaml").read_text()
# Prefect ignores keys it does not know, so a typo would pass; these are the keys its own template uses.
KNOWN_KEYS = {"name", "prefect-version", "build", "push", "pull", "definitions", "deployments"}


def deployments() -> list[DeploymentConfig]:
    return PrefectYamlModel.model_validate(yaml.safe_load(TEXT)).deployments


def test_prefect_accepts_the_file_and_every_key_of_it_means_something() -> None:
    raw = yaml.safe_load(TEXT)

    assert [deployment.name for deployment in deployments()] == ["build"]
    assert set(raw) <= KNOWN_KEYS
    for deployment in raw["deployments"]:
        assert set(deployment) <= set(DeploymentConfig.model_fields)


def test_the_file_is_package_data_which_the_root_links_to() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graftline.deployments"], cwd=ROOT, check=True, capture_output=True, text=True
    )

    assert (ROOT / "prefect.yaml").readlink() == Path("deployments/prefect.yaml")
    assert done.stdout == f"{(ROOT / 'deployments' / 'prefect.yaml').resolve()}\n"


def test_the_schedule_that_is_shown_is_one_that_prefect_accepts() -> None:
    shown, count = re.subn(r"^    # (schedules:|  .*)$", r"    \1", TEXT, flags=re.MULTILINE)
    raw = yaml.safe_load(shown)
    (scheduled,) = PrefectYamlModel.model_validate(raw).deployments

    assert (count, scheduled.name) == (5, "build")
    (nightly,) = raw["deployments"][0]["schedules"]
    assert BuildRequest.model_validate(nightly["parameters"]["request"]).land == "branch"


def test_the_nightly_deployment_that_the_docs_show_is_one_that_prefect_accepts() -> None:
    page = (ROOT / "docs" / "deployments.md").read_text()
    shown = re.search(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert shown is not None
    raw = yaml.safe_load(shown[1])
    (nightly,) = PrefectYamlModel.model_validate(raw).deployments

    assert set(raw["deployments"][0]) <= set(DeploymentConfig.model_fields)
    assert BuildRequest.model_validate((nightly.parameters or {})["request"]).land == "branch"


def test_a_worker_pulls_nothing_because_the_package_is_installed() -> None:
    model = PrefectYamlModel.model_validate(yaml.safe_load(TEXT))

    assert model.pull == []
    assert [one.name for one in deployments() if not (one.entrypoint or "").startswith("graftline.flows.")] == []


def test_every_deployment_says_what_it_is() -> None:
    # Left out, the description becomes the literal string "None".
    assert [one.name for one in deployments() if not (one.description or "").strip()] == []


def test_every_deployment_goes_to_the_pool_of_agents_with_the_schema_enforced() -> None:
    found = [
        (one.work_pool.name if one.work_pool else None, one.enforce_parameter_schema, one.concurrency_limit is not None)
        for one in deployments()
    ]

    assert found == [("agents", True, True)] * len(deployments())


@pytest.mark.parametrize("deployment", deployments(), ids=lambda deployment: deployment.name)
def test_an_entrypoint_loads_by_its_dotted_name_and_by_its_path(
    deployment: DeploymentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    entrypoint = deployment.entrypoint or ""
    module, _, name = entrypoint.removeprefix("graftline.").rpartition(".")
    monkeypatch.chdir(ROOT)

    dotted: Flow[..., object] = load_flow_from_entrypoint(entrypoint)
    by_path: Flow[..., object] = load_flow_from_entrypoint(f"{module.replace('.', '/')}.py:{name}")

    assert (dotted.name, dotted.fn.__module__) == (by_path.name, entrypoint.rpartition(".")[0])

"""Promises of infra/prefect.yaml: what it names exists, and its forms can be read."""

import asyncio
import importlib
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import ValidationError, validate
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

from flows.deployments import pool_environment, pool_template, register
from flows.parameters import AS_CONFIGURED, Preset
from tasks.config.presets import PRESETS
from tasks.steps.artifacts import VIDEOS_PREPARED
from tasks.steps.train import DEPLOYMENT

ROOT = Path(__file__).resolve().parent.parent
DEPLOYMENTS = {
    deployment["name"]: deployment
    for deployment in yaml.safe_load((ROOT / "infra/prefect.yaml").read_text(encoding="utf-8"))["deployments"]
}


def flow_of(name: str) -> Flow[Any, Any]:
    module, _, function = DEPLOYMENTS[name]["entrypoint"].rpartition(".")
    flow = getattr(importlib.import_module(module), function)
    assert isinstance(flow, Flow)
    return flow


def test_the_deployments_have_the_names_that_people_use() -> None:
    names = {f"{flow_of(name).name}/{name}" for name in DEPLOYMENTS}
    assert names == {"fer/full-study", "fer-prepare/new-videos", DEPLOYMENT, "fer-evaluate/report"}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_parameter_is_described_and_has_a_default(name: str) -> None:
    schema = parameter_schema(flow_of(name))
    assert schema.required == []
    for parameter in schema.properties.values():
        assert "default" in parameter
        assert parameter["description"]
    assert schema.properties["preset"]["enum"] == [AS_CONFIGURED, *PRESETS]
    assert set(DEPLOYMENTS[name].get("parameters", {})) <= set(schema.properties)
    assert DEPLOYMENTS[name]["description"].strip()


def test_the_presets_of_the_forms_are_those_that_there_are() -> None:
    assert set(get_args(Preset)) == {AS_CONFIGURED, *PRESETS}


def test_a_study_starts_on_the_event_of_enough_videos() -> None:
    (trigger,) = DEPLOYMENTS["full-study"]["triggers"]
    assert trigger["expect"] == [VIDEOS_PREPARED]
    assert trigger["match"] == {"prefect.resource.id": "fer.corpus.*", "fer.enough": "yes"}
    assert DEPLOYMENTS["new-videos"]["parameters"]["announce"] is True


def test_without_its_file_it_is_said_where_to_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.deployments._FILE", tmp_path / "infra" / "prefect.yaml")
    with pytest.raises(Exception, match=r"There is no .*prefect.yaml; run from a checkout"):
        register("http://127.0.0.1:1/api", tmp_path, {}, None, 1)


@pytest.mark.parametrize(
    "asked",
    [
        {"command": "touch pwned"},
        {"env": {"PYTHONPATH": "evil"}},
        {"env.PYTHONPATH": "evil"},
        {"working_dir": "/"},
        {"name": "x", "labels": {"a": "b"}, "stream_output": False},
    ],
)
@pytest.mark.parametrize("environment", [{}, {"FOR_EVERY_RUN": "yes"}])
def test_a_run_of_a_pool_cannot_choose_what_is_executed(
    asked: dict[str, Any], environment: dict[str, str], tmp_path: Path
) -> None:
    template = pool_template(tmp_path, environment)
    with pytest.raises(ValidationError):
        validate(asked, template["variables"], raise_on_error=True)
    validate({"working_dir": str(tmp_path)}, template["variables"], raise_on_error=True)
    if environment:
        return  # a worker would add to it what the server has refused
    nobody = PrefectClient("http://127.0.0.1:1/api")
    job = asyncio.run(ProcessJobConfiguration.from_template_and_values(template, asked, client=nobody))
    assert (job.command, job.env, job.working_dir) == (None, {}, tmp_path)


def test_what_a_pool_was_given_for_every_run_is_kept(tmp_path: Path) -> None:
    given = {"SECRET": "{{ prefect.blocks.secret.fer-s3 }}"}
    default = ProcessWorker.get_default_base_job_template()
    assert pool_environment(default) == {}
    default["variables"]["properties"]["env"]["default"] = given
    assert pool_environment(default) == given
    assert pool_environment(pool_template(tmp_path, given)) == given
    assert pool_environment({}) == {}

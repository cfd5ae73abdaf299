"""Promises of infra/prefect.yaml: what it names exists, and its forms can be read."""

import asyncio
import importlib
import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import yaml
from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import ValidationError, validate
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

from flows.deployments import OF_NO_STUDY, make_pools, pool_environment, pool_template, register
from flows.parameters import AS_CONFIGURED, Preset
from tasks.config.presets import FORMER_PRESETS, PRESETS
from tasks.steps.artifacts import VIDEOS_PREPARED
from tasks.steps.train import DEPLOYMENT

ROOT = Path(__file__).resolve().parent.parent
DEPLOYMENTS = {
    deployment["name"]: deployment
    for deployment in yaml.safe_load((ROOT / "infra/prefect.yaml").read_text(encoding="utf-8"))["deployments"]
}
KUBERNETES = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "infra/kubernetes").glob("*.json")
}


def flow_of(name: str) -> Flow[Any, Any]:
    module, _, function = DEPLOYMENTS[name]["entrypoint"].rpartition(".")
    flow = getattr(importlib.import_module(module), function)
    assert isinstance(flow, Flow)
    return flow


def test_the_deployments_have_the_names_that_users_know() -> None:
    names = {f"{flow_of(name).name}/{name}" for name in DEPLOYMENTS}
    assert names == {
        "fer/full-study",
        "fer-prepare/new-videos",
        DEPLOYMENT,
        "fer-evaluate/report",
        "fer-predict/videos",
    }


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_parameter_is_described_and_has_a_default(name: str) -> None:
    schema = parameter_schema(flow_of(name))
    assert schema.required == []
    for parameter in schema.properties.values():
        assert "default" in parameter
        assert parameter["description"]
    if name not in OF_NO_STUDY:
        assert schema.properties["preset"]["enum"] == [AS_CONFIGURED, *PRESETS, *FORMER_PRESETS]
    assert set(DEPLOYMENTS[name].get("parameters", {})) <= set(schema.properties)
    assert DEPLOYMENTS[name]["description"].strip()


def test_the_presets_of_the_forms_are_those_that_there_are() -> None:
    assert set(get_args(Preset)) == {AS_CONFIGURED, *PRESETS, *FORMER_PRESETS}


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


class Pools:
    """What a client of a server knows of its pools: name, type and template."""

    def __init__(self, **pools: tuple[str, dict[str, Any]]) -> None:
        self.pools = pools

    def read_work_pool(self, name: str) -> SimpleNamespace:
        if name not in self.pools:
            raise ObjectNotFound(Exception(name))
        return SimpleNamespace(type=self.pools[name][0], base_job_template=self.pools[name][1])

    def create_work_pool(self, pool: WorkPoolCreate) -> None:
        self.pools[pool.name] = (pool.type, pool.base_job_template)

    def update_work_pool(self, name: str, pool: WorkPoolUpdate) -> None:
        assert pool.base_job_template
        self.pools[name] = (self.pools[name][0], pool.base_job_template)


@pytest.mark.parametrize("as_they_are", [True, False])
def test_a_pool_that_a_worker_made_for_itself_is_closed(
    as_they_are: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_by_worker = ProcessWorker.get_default_base_job_template()
    assert "command" in made_by_worker["variables"]["properties"]
    made_by_worker["variables"]["properties"]["env"]["default"] = {"FOR_EVERY_RUN": "yes"}
    server = Pools(**{"fer-cpu": ("process", made_by_worker)})
    monkeypatch.setattr("flows.deployments._client", lambda _: nullcontext(server))
    make_pools("http://127.0.0.1:1/api", tmp_path, as_they_are)
    assert server.pools == {
        "fer-cpu": ("process", pool_template(tmp_path, {"FOR_EVERY_RUN": "yes"})),
        "fer-gpu": ("process", pool_template(tmp_path)),
    }


def test_pools_of_an_administrator_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_cluster = KUBERNETES["fer-gpu"]
    given = {"fer-cpu": ("process", pool_template(tmp_path / "another")), "fer-gpu": ("kubernetes", of_cluster)}
    server = Pools(**given)
    monkeypatch.setattr("flows.deployments._client", lambda _: nullcontext(server))
    make_pools("http://127.0.0.1:1/api", tmp_path, as_they_are=True)
    assert server.pools == given


def test_what_a_pool_was_given_for_every_run_is_kept(tmp_path: Path) -> None:
    given = {"SECRET": "{{ prefect.blocks.secret.fer-s3 }}"}
    default = ProcessWorker.get_default_base_job_template()
    assert pool_environment(default) == {}
    default["variables"]["properties"]["env"]["default"] = given
    assert pool_environment(default) == given
    assert pool_environment(pool_template(tmp_path, given)) == given
    assert pool_environment({}) == {}

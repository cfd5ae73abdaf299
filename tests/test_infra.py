"""Promises of `infra/`, held by reading its files: no engine, cluster or server is needed."""

import configparser
import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from flows import deployments

ROOT = Path(__file__).resolve().parent.parent
INFRA = ROOT / "infra"
COMPOSE: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (INFRA / "Dockerfile").read_text(encoding="utf-8")
TEMPLATES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in INFRA.glob("kubernetes/*.json")}
LOCKS = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "requirements.lock", *INFRA.glob("*.lock")])
POOLS = {"fer-cpu", "fer-gpu"}
OWN_IMAGES = {"fer-pipeline", "fer-pipeline-gpu"}
SECRET = re.compile(r"(?i)password|secret|auth_string|_key$|token")
#: What a name of a secret may be followed by: a variable, the path of a file, or nothing.
REFERENCE = re.compile(r"\$\{[A-Z0-9_]+:\?[^}]+\}")


def environment_of(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in SERVICES[service].get("environment", {}).items()}


def requirements(lock: str) -> dict[str, set[str]]:
    """The pinned versions of each package in a lock."""
    pinned: dict[str, set[str]] = {}
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith((" ", "#")):
            needed = Requirement(line.removesuffix("\\"))
            pinned.setdefault(needed.name, set()).add(str(needed.specifier))
    return pinned


def variables_used() -> set[str]:
    return set(re.findall(r"\$\{([A-Z0-9_]+)", (INFRA / "compose.yaml").read_text(encoding="utf-8")))


def example() -> dict[str, str]:
    lines = (INFRA / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_ports_are_open_to_this_machine_only() -> None:
    published = [str(port) for service in SERVICES.values() for port in service.get("ports", [])]
    assert {port.split(":")[-1] for port in published} >= {"4200", "5000"}
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    assert not any("network_mode" in service or service.get("privileged") for service in SERVICES.values())


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_secrets_come_from_the_environment(service: str) -> None:
    secret = {name: value for name, value in environment_of(service).items() if SECRET.search(name)}
    assert {name: value for name, value in secret.items() if not REFERENCE.fullmatch(value)} == {}
    assert not re.search(r"://[^/@\s]+:[^/@\s]+@", json.dumps(SERVICES[service]))


def test_no_file_holds_a_secret() -> None:
    values = {name: value for name, value in example().items() if SECRET.search(name)}
    assert set(values) >= {"POSTGRES_PASSWORD", "PREFECT_AUTH_STRING", "MLFLOW_ADMIN_PASSWORD", "S3_SECRET_KEY"}
    assert {name for name, value in values.items() if "CHANGE_ME" not in value} <= {"S3_ACCESS_KEY"}
    assert not re.search(r"(?i)^\s*(?:ARG|ENV)?\s*\w*(?:password|secret|token)\w*\s*=", DOCKERFILE, re.MULTILINE)
    users = configparser.ConfigParser()
    users.read(INFRA / "mlflow-auth.ini", encoding="utf-8")
    assert "admin_password" not in users["mlflow"]
    assert users["mlflow"]["database_uri"] == "postgresql+psycopg2://mlflow@postgres/mlflow_auth"


def test_the_example_lists_what_compose_needs() -> None:
    assert set(example()) == variables_used()


def test_the_real_environment_is_kept_out_of_git_and_of_images() -> None:
    ignored = subprocess.run(["git", "check-ignore", "-q", "infra/.env"], cwd=ROOT, check=False)
    assert ignored.returncode == 0
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert rules.index("infra/.env") > rules.index("!infra")


@pytest.mark.parametrize("image", sorted({s["image"] for s in SERVICES.values() if "image" in s} - OWN_IMAGES))
def test_foreign_images_are_pinned(image: str) -> None:
    tag = image.partition(":")[2]
    assert re.search(r"\d", tag)
    assert "latest" not in tag


def test_the_image_is_pinned_small_and_not_root() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(bases) == {"python:3.12-slim-bookworm"}
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert not re.search(r"pip install|apt-get|gcc|COPY \. ", last)
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert "--require-hashes" in DOCKERFILE


def test_what_the_image_copies_exists_and_is_not_ignored() -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sources = [
        source.replace("${LOCK}", lock)
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for source in line.split()
        for lock in ("requirements.lock", "requirements-gpu.lock")
    ]
    assert "infra/requirements-gpu.lock" in sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source.partition('/')[0]}" in rules, source


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the image's file, with its text on one line."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]  # type: ignore[misc]


def test_the_image_is_written_as_docker_reads_it() -> None:
    known = {"FROM", "ARG", "RUN", "COPY", "WORKDIR", "ENV", "USER", "HEALTHCHECK", "CMD"}
    assert {name for name, _ in instructions()} <= known
    stages = {text.rpartition(" AS ")[2] for name, text in instructions() if name == "FROM" and " AS " in text}
    assert {found for name, text in instructions() for found in re.findall(r"--from=(\S+)", text)} == stages
    given: set[str] = set()
    for name, text in instructions():
        given = set() if name == "FROM" else given | ({text.partition("=")[0]} if name == "ARG" else set())
        used = set(re.findall(r"\$\{?(\w+)", text)) - {"PATH"}
        assert used <= given, f"{name} {text}"
    for text in (text for name, text in instructions() if name == "RUN"):
        shell = re.sub(r"--mount=\S+", "", text)
        assert subprocess.run(["sh", "-nc", shell], check=False).returncode == 0, text


def test_what_the_image_runs_is_installed_in_it() -> None:
    """The programs are scripts of packages of its lock, or come with Python; the health check is Python."""
    scripts = {script.name: script.dist.metadata["Name"] for script in entry_points(group="console_scripts")}
    commands = [
        json.loads(text.partition("CMD ")[2] or text) for name, text in instructions() if name in ("CMD", "HEALTHCHECK")
    ]
    assert len(commands) == 2
    for lock in ("infra/requirements.lock", "infra/requirements-gpu.lock"):
        assert "setuptools" in requirements(lock), "what builds the package inside"
        for program, *_ in commands:
            assert program == "python" or scripts[program].lower() in requirements(lock), program
    (check,) = (words[2] for words in commands if words[0] == "python")
    compile(check, "health check", "exec")
    base = re.search(r"python:(\d\.\d+)-", DOCKERFILE)
    assert base
    assert f"--python-version {base[1]}" in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_carry_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert len(blocks) > 100
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert re.findall(r"\S*(?:https?://|-url|--find-links)\S*", text) == []


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock.startswith("infra/")])
def test_images_hold_the_versions_that_are_tested(lock: str) -> None:
    tested, runtime = requirements("requirements.lock"), requirements(lock)
    assert {"prefect", "mlflow", "psycopg2-binary", "s3fs", "boto3", "flask-wtf", "prefect-dask"} <= set(runtime)
    assert not {"pytest", "ruff", "mypy", "moto"} & set(runtime)
    assert {name for name in runtime if name in tested and not runtime[name] <= tested[name]} == set()
    new = {name for name in runtime if name not in tested}
    assert not {name for name in new if not name.startswith(("nvidia-", "jax-cuda"))}, "never tested here"
    assert bool(new) == ("gpu" in lock)


def test_the_project_is_installed_with_what_the_lock_holds() -> None:
    """The build has no index: setuptools must be among what is locked."""
    assert "--no-build-isolation" in DOCKERFILE
    assert "setuptools" in requirements("infra/requirements.lock")


def pools_of_workers() -> set[str]:
    commands = [service.get("command", []) for service in SERVICES.values()]
    return {command[command.index("--pool") + 1] for command in commands if "--pool" in command}


def test_pools_are_named_the_same_everywhere() -> None:
    assert pools_of_workers() == POOLS
    assert set(TEMPLATES) == POOLS
    assert set(deployments.POOLS) == POOLS
    for path in INFRA.glob("prefect.yaml"):
        named = yaml.safe_load(path.read_text(encoding="utf-8"))["deployments"]
        assert {deployment["work_pool"]["name"] for deployment in named} == POOLS


def test_services_wait_for_what_they_need() -> None:
    needs = {name: dict(service.get("depends_on", {})) for name, service in SERVICES.items()}
    for name, needed in needs.items():
        assert set(needed) <= set(SERVICES)
        for other, wait in needed.items():
            one_shot = SERVICES[other].get("healthcheck") == {"disable": True}
            expected = "service_completed_successfully" if one_shot else "service_healthy"
            assert wait == {"condition": expected}, f"{name} on {other}"
            own = SERVICES[other].get("image") in OWN_IMAGES  # its healthcheck is in the Dockerfile
            assert one_shot or own or "healthcheck" in SERVICES[other]
    assert {"deploy", "mlflow"} <= set(needs["worker-cpu"]) & set(needs["worker-gpu"])
    assert set(needs["mlflow"]) == {"postgres", "buckets"}


def test_both_servers_ask_for_passwords_and_clients_have_them() -> None:
    assert "PREFECT_SERVER_API_AUTH_STRING" in environment_of("prefect")
    assert "--app-name=basic-auth" in SERVICES["mlflow"]["command"]
    assert any(argument.startswith("--allowed-hosts=mlflow:5000,") for argument in SERVICES["mlflow"]["command"])
    for worker in ("worker-cpu", "worker-gpu"):
        client = environment_of(worker)
        assert client["PREFECT_API_AUTH_STRING"] == environment_of("prefect")["PREFECT_SERVER_API_AUTH_STRING"]
        assert client["MLFLOW_TRACKING_PASSWORD"] == environment_of("mlflow")["MLFLOW_AUTH_ADMIN_PASSWORD"]
        assert client["PREFECT_LOCAL_STORAGE_PATH"].startswith("/data/"), "results are shared between workers"


def test_only_the_gpus_worker_asks_for_one() -> None:
    with_gpu = [name for name, service in SERVICES.items() if "nvidia" in json.dumps(service.get("deploy", {}))]
    assert with_gpu == ["worker-gpu"]
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    assert SERVICES["worker-gpu"]["build"]["args"] == {"LOCK": "requirements-gpu.lock", "KERAS_BACKEND": "jax"}


@pytest.mark.parametrize("pool", sorted(POOLS))
def test_kubernetes_templates_use_every_variable_and_no_other(pool: str) -> None:
    template = TEMPLATES[pool]
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))
    assert used == set(template["variables"]["properties"])


@pytest.mark.parametrize("pool", sorted(POOLS))
def test_kubernetes_jobs_are_not_root_and_take_secrets_from_a_secret(pool: str) -> None:
    job = TEMPLATES[pool]["job_configuration"]["job_manifest"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert (security["runAsUser"], security["runAsGroup"]) == (int(user[1]), int(user[2]))
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert container["envFrom"] == [{"secretRef": {"name": "{{ secret }}"}}]
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (pool == "fer-gpu")
    images = TEMPLATES[pool]["variables"]["properties"]["image"]["default"]
    assert images == {"fer-cpu": "fer-pipeline", "fer-gpu": "fer-pipeline-gpu"}[pool]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in pod["volumes"]}


def test_the_script_is_a_script() -> None:
    path = INFRA / "deploy.sh"
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0
    nothing = {name: value for name, value in os.environ.items() if name == "PATH"}
    refused = subprocess.run(["sh", str(path)], env=nothing, capture_output=True, text=True, check=False)
    assert refused.returncode
    assert "FER_HOME" in refused.stderr


@pytest.mark.slow
def test_mlflow_knows_its_options(tmp_path: Path) -> None:
    command = SERVICES["mlflow"]["command"]
    help_text = subprocess.run(
        [sys.executable, "-m", "mlflow", "server", "--help"], capture_output=True, text=True, cwd=tmp_path, check=True
    ).stdout
    options = [argument.partition("=")[0] for argument in command if argument.startswith("--")]
    assert len(options) > 4
    assert [option for option in options if option not in help_text] == []


def test_nginx_passes_web_sockets_and_names_both_servers() -> None:
    site = (INFRA / "nginx.conf").read_text(encoding="utf-8")
    assert site.count("{") == site.count("}")
    assert set(re.findall(r"proxy_pass http://127\.0\.0\.1:(\d+);", site)) == {"4200", "5000"}
    prefect = site[site.index("127.0.0.1:4200") :].partition("}")[0]
    assert {"Upgrade $http_upgrade", "Connection $connection_upgrade"} <= set(
        re.findall(r"proxy_set_header ((?:Upgrade|Connection) \S+);", prefect)
    )


def test_pools_are_made_before_a_worker_makes_them_for_itself() -> None:
    text = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
    blocks = [block for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "worker start" in block]
    assert blocks
    before = text[: text.index("worker start")]
    assert "infra/deploy.sh" in before
    for block in blocks:
        assert "infra/deploy.sh" not in block.partition("worker start")[2]

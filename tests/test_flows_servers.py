"""MLflow's server as `fer up` starts it: who its gate lets in is let in by MLflow too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Prints the status of requests to the server's app, and what it says to browsers about pages within pages.
ASK = """
import asyncio, json, sys
import httpx
from flows.servers import _mlflow

host, *asked = json.loads(sys.argv[1])
app, _ = _mlflow(host)

async def ask(name, origin):
    headers = {"Origin": f"http://{origin}"} if origin else {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{name}") as client:
        url = "/ajax-api/2.0/mlflow/experiments/search"
        done = await client.post(url, json={"max_results": 5}, headers=headers, auth=("fer", "a password"))
    return done.status_code, done.headers["x-frame-options"]

print(json.dumps([asyncio.run(ask(*one)) for one in asked]))
"""


@pytest.mark.parametrize("address", ["labserver:5000", pytest.param("203.0.113.7:5000", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_programs_and_its_own_pages_may_use_it_under_its_name(address: str, tmp_path: Path) -> None:
    asked = [address.partition(":")[0], (address, ""), (address, address), (address, "evil.test"), ("evil.test", "")]
    more = {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": str(tmp_path / "artifacts"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_TRACKING_USERNAME": "fer",
        "MLFLOW_TRACKING_PASSWORD": "a password",
    }
    command = [sys.executable, "-c", ASK, json.dumps(asked)]
    done = subprocess.run(command, env=os.environ | more, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert not done.returncode, done.stderr
    statuses, framing = zip(*json.loads(done.stdout.splitlines()[-1]), strict=True)
    assert statuses == (200, 200, 403, 403)
    assert set(framing) == {"SAMEORIGIN"}

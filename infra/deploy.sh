#!/bin/sh
# Tells the server of PREFECT_API_URL what there is to run; before the first worker, which would make pools of its own.
# What is there already stays as it is, so that a pool of another type (see kubernetes/) and limits that were changed are
# kept. Deployments are brought up to date, and a pool whose runs may choose their command is closed.
# FER_HOME is the folder that relative paths start from on every worker.
set -eu
: "${FER_HOME:?name the folder that workers run in}"
cd "$(dirname "$0")/.."

python -c '
import os
from pathlib import Path
from prefect.settings import PREFECT_API_URL
from flows.deployments import make_pools
make_pools(PREFECT_API_URL.value(), Path(os.environ["FER_HOME"]), as_they_are=True)
'
prefect global-concurrency-limit inspect fer-gpu >/dev/null 2>&1 ||
    prefect global-concurrency-limit create fer-gpu --limit "${FER_GPU_SLOTS:-1}"
prefect --no-prompt deploy --all --prefect-file infra/prefect.yaml
exec python -c '
from prefect import get_client
from flows.deployments import register_automations
with get_client(sync_client=True) as client:
    register_automations(client)
'

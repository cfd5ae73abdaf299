"""A Prefect server that settings name: it is there, of this version, and lets us in."""

import os
import re
from importlib.metadata import version

import httpx

from fer_models.errors import UserError
from tasks.services.foreign_settings import prefect_setting
from tasks.services.proxies import http_fault
from tasks.storage.addresses import hide_secrets

#: A server that is busy answers late, but one that is there takes a connection at once.
_PATIENCE = httpx.Timeout(30.0, connect=5.0)


def check_server(api_url: str) -> None:
    """Raise `UserError` when no Prefect server of this version answers at an address, or it does not let us in."""
    if fault := http_fault():
        raise UserError(fault)
    shown = hide_secrets(api_url)
    setting = prefect_setting("PREFECT_API_URL")
    if setting and setting.value == api_url:
        where, without = f"{shown!r}, which {setting.path} names", "take PREFECT_API_URL (api.url) out of that file"
    else:
        where, without = f"PREFECT_API_URL = {shown!r}", "unset PREFECT_API_URL"
    try:
        httpx.get(f"{api_url.rstrip('/')}/health", timeout=_PATIENCE).raise_for_status()
        fault = _version_fault(api_url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UserError(
            f"No Prefect server answers at {where}; start `prefect server start` and wait until it does, or {without} "
            "to do without one."
        ) from error
    if fault:
        raise UserError(f"The server at {where} {fault}, or {without} to do without one.")


def _version_fault(api_url: str) -> str:
    """What is wrong with a server that answers, as Prefect itself would find it, and what to do; empty if nothing."""
    if (httpx.URL(api_url).host or "").endswith("prefect.cloud") or os.environ.get("PREFECT_CLIENT_CUSTOM_HEADERS"):
        return ""  # which are asked in ways of their own
    setting = prefect_setting("PREFECT_API_AUTH_STRING")
    user, _, password = (os.environ.get("PREFECT_API_AUTH_STRING") or (setting.value if setting else "")).partition(":")
    auth = (user, password) if user else None
    answer = httpx.get(f"{api_url.rstrip('/')}/admin/version", timeout=_PATIENCE, auth=auth)
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return "lets nobody in without the right password; give it: export PREFECT_API_AUTH_STRING=user:password"
    there = re.match(r'"?(\d+)\.', answer.text) if answer.is_success else None
    if not there:
        return "is no Prefect server; name another one"
    here = version("prefect")
    if there[1] != here.partition(".")[0]:
        found = answer.text[:40].strip('"')
        return f"is Prefect {found}, and here is {here}; name one of the same version"
    return ""

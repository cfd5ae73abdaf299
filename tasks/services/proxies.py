"""Proxies and certificates of the environment: no proxy stands between this machine and itself."""

import os

import httpx

#: Names of this machine for itself.
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Those that `spare_loopback` had to add to the exceptions.
_added: list[str] = []


def proxy_variables() -> list[str]:
    """The variables of the environment that name a proxy."""
    return [name for name in os.environ if name.lower().endswith("_proxy") and name.lower() != "no_proxy"]


def spare_loopback() -> None:
    """Except this machine from the proxies of the environment, for this process and all that it starts.

    Without a proxy nothing is set: some systems then have proxies of their own, which `no_proxy` alone would hide.
    """
    if not any(os.environ[name] for name in proxy_variables()):
        return
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    excepted = [host.strip() for host in named.split(",") if host.strip()]
    missing = [host for host in _LOOPBACK if host not in excepted]
    if missing and "*" not in excepted:
        _added[:] = missing
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join([*excepted, *missing])


def added_exceptions() -> list[str]:
    """Names of this machine that the environment did not except from its proxies."""
    return list(_added)


def http_fault() -> str:
    """What in the environment keeps all requests from being made, with what to do; empty if nothing."""
    try:
        httpx.Client().close()
    except ImportError:
        named = " and ".join(name for name in proxy_variables() if os.environ[name].lower().startswith("socks"))
        return f"{named} names a SOCKS proxy, for which a package is missing; pip install socksio, or unset {named}."
    except OSError as error:
        named = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), "SSL_CERT_FILE")
        why = error.strerror or "no certificates"
        return f"{named} is {os.environ.get(named)!r}, which cannot be read ({why}); correct it, or unset {named}."
    except (ValueError, httpx.InvalidURL):  # whose words may hold a password
        named = " or ".join(proxy_variables())
        return f"{named} is not the address of a proxy; correct it: http://host:port."
    return ""

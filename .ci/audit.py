"""How old the locks are, and which known vulnerabilities the pinned packages have: `make audit`.

    .venv/bin/python .ci/audit.py requirements.lock infra/requirements.lock

Ends with 1 where a lock is old, a package has a known vulnerability, or nobody could be asked. Asks pip-audit, which it
installs into `build/audit` with the user's own pip; no index is named here, so pip's own settings (PIP_INDEX_URL,
pip.conf) say where packages come from.
"""

import datetime
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

AUDITOR = "pip-audit==2.10.1"
MOST_DAYS = 90
_FOLDER = Path("build/audit")


def age_days(lock: Path, today: datetime.date) -> int | None:
    """Days since a lock was last changed in git; None outside of a repository."""
    command = ["git", "log", "-1", "--format=%cs", "--", str(lock)]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git
        return None
    return (today - datetime.date.fromisoformat(said)).days if said else None


def auditor() -> Path | None:
    """The pip-audit of `build/audit`, installed where it is missing; None where no index has it."""
    found = _FOLDER / "bin" / "pip-audit"
    if not found.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_FOLDER)], check=True)
        install = [str(_FOLDER / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", AUDITOR]
        if subprocess.run(install, stderr=subprocess.DEVNULL, check=False).returncode:
            return None
    return found


@dataclass(frozen=True)
class Found:
    """What is known of the packages of a lock: a line for each vulnerability, and how many could be asked about."""

    lines: list[str]
    num_known: int
    num_unknown: int


def read(report: str) -> Found:
    """What pip-audit said, as JSON; raises `ValueError` or `KeyError` where it said something else."""
    packages = json.loads(report)["dependencies"]
    known = [package for package in packages if "vulns" in package]
    lines = [
        f"  {package['name']} {package['version']}: {one['id']}, "
        + (f"mended in {', '.join(one['fix_versions'])}" if one["fix_versions"] else "not mended yet")
        for package in known
        for one in package["vulns"]
    ]
    return Found(lines, len(known), len(packages) - len(known))


def audit(lock: Path, program: Path) -> Found | None:
    """What is known against the packages of a lock; None where nobody could be asked."""
    command = [str(program), "--requirement", str(lock), "--disable-pip", "--require-hashes", "--format", "json"]
    asked = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True, check=False)
    try:
        found = read(asked.stdout)
    except (ValueError, KeyError):
        return None
    return found if found.num_known else None


def main(*locks: str) -> int:
    """Say what is known of each lock; 1 where something is to be done."""
    faults = 0
    for name in locks:
        days = age_days(Path(name), datetime.date.today())
        old = days is not None and days > MOST_DAYS
        faults += old
        when = "its age is unknown" if days is None else f"last changed {days} days ago"
        print(f"{name}: {when}{'; `make lock` renews it' if old else ''}")
    program = auditor()
    for name in locks:
        found = audit(Path(name), program) if program else None
        if found is None:
            print(
                f"{name}: no package index that knows of vulnerabilities answers here; try again with another network."
            )
            return 1
        unknown = f"; of {found.num_unknown} nothing is known" if found.num_unknown else ""
        print(
            "\n".join(
                [
                    f"{name}: {len(found.lines)} known vulnerabilities in {found.num_known} packages{unknown}",
                    *found.lines,
                ]
            )
        )
        faults += bool(found.lines)
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

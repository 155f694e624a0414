"""Ask for known vulnerabilities of every pinned package; say plainly what could not be asked.

``pip-audit`` calls a package that a mirror has no advisories for "skipped", and ends with "No
known vulnerabilities found" even if it skipped all of them. Here that is nothing audited.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SERVICES = ("pypi", "osv")  # the second is asked if the first knows nothing
UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "SSLError", "HTTPError")


def pins() -> str:
    """Return every pin on a line; no hashes, which ``pip-audit`` wants for all or for none."""
    texts = [(ROOT / name).read_text() for name in ("constraints.txt", "requirements-triton.lock")]
    return "".join(f"{pin}\n" for pin in re.findall(r"^[\w.-]+==[\w.]+", "\n".join(texts), re.M))


def ask(
    service: str, requirements: str | None = None, options: Sequence[str] = ()
) -> dict[str, Any] | None:
    """Return what ``pip-audit`` reports, or ``None`` if the service cannot be reached.

    Raises:
        RuntimeError: If ``pip-audit`` itself fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pins.txt"
        path.write_text(pins() if requirements is None else requirements)
        command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service]
        command += ["--format", "json", "--progress-spinner", "off", "--no-deps", "--disable-pip"]
        command += ["--requirement", str(path), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        if any(name in done.stderr for name in UNREACHABLE):
            return None
        raise RuntimeError(f"pip-audit failed:\n{done.stderr}") from None


def audit(ask: Callable[[str], dict[str, Any] | None] = ask) -> int:
    """Print what is known; return 1 if that is a vulnerability, else 0."""
    packages: list[dict[str, Any]] = []
    for service in SERVICES:
        report = ask(service)
        if report is None:
            print(f"audit: the service {service!r} cannot be reached.")
            continue
        packages = report["dependencies"]
        if any("vulns" in package for package in packages):
            break
        print(f"audit: the service {service!r} knows none of {len(packages)} packages.")
    audited = [package for package in packages if "vulns" in package]
    if not audited:
        print("audit: NOTHING WAS AUDITED; run 'make audit' where advisories can be had.")
        return 0
    for package in packages:
        if "vulns" not in package:
            print(f"audit: NOT AUDITED: {package['name']}: {package['skip_reason']}")
        for found in package.get("vulns", []):
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            name = f"{package['name']} {package['version']}"
            print(f"audit: VULNERABLE: {name}: {found['id']}, mended in {fixed}")
    bad = sum(bool(package["vulns"]) for package in audited)
    print(f"audit: {bad} of {len(audited)} audited packages have known vulnerabilities.")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(audit())

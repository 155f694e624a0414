"""What is installed is pinned, hashed and allowed; an audit never says more than it knows."""

import importlib.util
import json
import re
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-triton.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked(name):
    """Return the hashes and the version of each package of a lock."""
    text = re.sub(r"^#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    found = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        requirement, *hashes = re.split(r"\s*\\\n\s*--hash=sha256:", entry)
        requirement = Requirement(requirement)
        (version,) = requirement.specifier
        assert version.operator == "=="
        found[canonicalize_name(requirement.name)] = (version.version, hashes)
    return found


def pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert [*pins] == sorted(pins, key=canonicalize_name)
    return {canonicalize_name(name): version for name, version in pins.items()}


def required(extras):
    """Return the requirements of the project with its extras, those of extras included."""
    found = [Requirement(text) for text in PROJECT["dependencies"]]
    for extra in extras:
        for text in PROJECT["optional-dependencies"][extra]:
            requirement = Requirement(text)
            if requirement.name == "vgae":
                found += required(sorted(requirement.extras))
            else:
                found.append(requirement)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_each_package_of_a_lock_has_hashes_and_no_address(name):
    packages = locked(name)
    for version, hashes in packages.values():
        assert re.fullmatch(r"[0-9][0-9A-Za-z.]*", version)
        assert hashes
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in hashes)
    assert not re.search(r"://|file:|--index|--find", (ROOT / name).read_text())
    assert not re.search(r"://|file:|--", (ROOT / "constraints.txt").read_text())


def test_constraints_and_locks_pin_the_same_versions():
    pins = pinned()
    dev = {name: version for name, (version, _) in locked("requirements-dev.lock").items()}
    use = {name: version for name, (version, _) in locked("requirements.lock").items()}
    assert {**dev, "torch": pins["torch"]} == pins
    assert use.items() < dev.items()


@pytest.mark.parametrize(
    ("name", "extras"),
    [("requirements.lock", ["fast", "report"]), ("requirements-dev.lock", ["dev"])],
)
def test_a_lock_has_all_that_the_project_asks_for(name, extras):
    known = {name: version for name, (version, _) in locked(name).items()}
    known["torch"] = pinned()["torch"]
    known |= {name: v for name, (v, _) in locked("requirements-triton.lock").items()}
    for requirement in [*required(extras), Requirement("hatchling>=1.27")]:
        assert requirement.specifier.contains(known[canonicalize_name(requirement.name)])


def test_nothing_that_make_installs_escapes_the_locks_but_torch():
    lines = (ROOT / "Makefile").read_text().splitlines()
    (locked_install,) = [line for line in lines if line.startswith("LOCKED ")]
    assert locked_install.endswith("$(PIP) --require-hashes --no-deps")
    free = [line.strip() for line in lines if line.startswith("\t") and "$(PIP)" in line]
    assert free == [
        "$(PIP) -c constraints.txt torch",
        "$(PIP) --no-deps --no-build-isolation -e .",
    ]


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(*packages):
    return {"dependencies": list(packages), "fixes": []}


SAFE = {"name": "safe", "version": "1", "vulns": []}
BAD = {"name": "bad", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ([report(SAFE)], 0, "0 of 1 audited packages have known vulnerabilities."),
        ([report(SAFE, BAD)], 1, "VULNERABLE: bad 1: CVE-1, mended in 2"),
        ([report(SAFE, UNKNOWN)], 0, "NOT AUDITED: unknown: not found"),
        ([report(UNKNOWN), report(BAD)], 1, "1 of 1 audited packages have known"),
        ([None, report(SAFE)], 0, "the service 'pypi' cannot be reached."),
        ([None, None], 0, "NOTHING WAS AUDITED"),
        ([report(UNKNOWN), None], 0, "NOTHING WAS AUDITED"),
        ([report(UNKNOWN), report()], 0, "NOTHING WAS AUDITED"),
    ],
)
def test_an_audit_fails_on_vulnerabilities_and_says_what_it_does_not_know(
    audit, capsys, answers, status, said
):
    answers = iter(answers)
    assert audit.audit(lambda service: next(answers)) == status
    out = capsys.readouterr().out
    assert said in out
    assert ("known vulnerabilities." in out) != ("NOTHING WAS AUDITED" in out)


class Advisories(BaseHTTPRequestHandler):
    """Answers as OSV does: one advisory for Jinja2, none for anything else."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        advisory = {
            "id": "GHSA-test",
            "summary": "A sandbox that is none.",
            "details": "",
            "modified": "2024-01-01T00:00:00Z",
            "published": "2024-01-01T00:00:00Z",
            "affected": [
                {
                    "package": {"name": "jinja2", "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "9.9"}]}],
                }
            ],
        }
        known = {"vulns": [advisory]} if asked["package"]["name"] == "jinja2" else {}
        body = json.dumps(known).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def pip_audit():
    pytest.importorskip("pip_audit")


def test_pip_audit_is_asked_for_every_pin_and_understood(audit, pip_audit, capsys):
    """The real pip-audit, and a service on this machine that knows one vulnerability."""
    jinja2, number = pinned()["jinja2"], len(pinned()) + len(locked("requirements-triton.lock"))
    with HTTPServer(("127.0.0.1", 0), Advisories) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = ["--osv-url", f"http://127.0.0.1:{server.server_port}/v1/query"]
        status = audit.audit(lambda _: audit.ask("osv", options=options))
        server.shutdown()
    assert capsys.readouterr().out == (
        f"audit: VULNERABLE: jinja2 {jinja2}: GHSA-test, mended in 9.9\n"
        f"audit: 1 of {number} audited packages have known vulnerabilities.\n"
    )
    assert status == 1


def test_a_service_that_does_not_answer_is_not_reached(audit, pip_audit):
    with HTTPServer(("127.0.0.1", 0), Advisories) as server:
        closed = f"http://127.0.0.1:{server.server_port}"
    assert audit.ask("osv", "rich==15.0.0\n", ["--osv-url", closed]) is None


def test_pip_audit_that_fails_itself_is_an_error(audit, pip_audit):
    with pytest.raises(RuntimeError, match="pip-audit failed"):
        audit.ask("pypi", "no such line\n")

"""Runs one check as a process of its own and reads what it prints."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from conformance.clients import environments
from conformance.clients.checks import Check

_FOLDER = Path(__file__).parent
_KEPT = ("PATH", "LANG", "TZ", "JAVA_HOME", "XDG_CACHE_HOME", "SSL_CERT_FILE")
"""Of the caller's environment; anything else could change what a client does."""


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    """`shoal` or `postgres`."""
    port: int
    user: str
    password: str


@dataclass(slots=True)
class Result:
    check: Check
    target: str
    state: str = "failed"
    """`ok`, `failed` or `skipped`."""
    version: str = ""
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """Of the check alone, without installing."""
    reason: str = ""
    output: str = ""


def database_of(check: Check) -> str:
    """The database a check has to itself: a catalog of Shoal, a database of PostgreSQL."""
    return check.name.replace("-", "_")


def install(check: Check) -> None:
    """Makes what the check runs in, once; what cannot be had is said when it is run."""
    with tempfile.TemporaryDirectory() as folder, suppress(environments.NotInstallable):
        _prepared(check, Path(folder))


def run(check: Check, target: Target) -> Result:
    """Installs what the check needs and runs it; never raises for what the client does."""
    result = Result(check, target.name)
    with tempfile.TemporaryDirectory(prefix=f"shoal-client-{check.name}-") as folder:
        try:
            command, environment = _prepared(check, Path(folder))
        except environments.NotInstallable as error:
            result.state, result.reason = "skipped", str(error)
            return result
        environment.update(PGHOST="127.0.0.1", PGPORT=str(target.port), PGUSER=target.user, PGPASSWORD=target.password,
                           PGDATABASE=database_of(check), SHOAL_CLIENT_TARGET=target.name)
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
        try:
            result.output, _ = process.communicate(timeout=check.timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            result.output, _ = process.communicate()
            result.reason = f"not done after {check.timeout_s:g} s"
        result.seconds = time.perf_counter() - started
    for line in result.output.splitlines():
        if line.startswith("version: "):
            result.version = line.removeprefix("version: ").strip()
        elif line.startswith("ok "):
            result.passed.append(line.removeprefix("ok "))
        elif line.startswith("failed "):
            result.failed.append(line.removeprefix("failed "))
    if process.returncode == 0 and result.passed and not result.failed:
        result.state = "ok"
    elif not result.reason:
        result.reason = f"{len(result.failed)} failed" if result.failed else f"exit code {process.returncode}"
    return result


def _prepared(check: Check, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The command and environment of a check, after installing. Raises: NotInstallable."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"HOME": str(folder), "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
    root = Path("/")
    if check.debian:
        root = environments.debian(check.debian)
        _below(root, environment)
    environment["SHOAL_CLIENT_ROOT"] = str(root)
    for program in check.programs:
        if shutil.which(program, path=environment.get("PATH")) is None:
            raise environments.NotInstallable(f"{program} is not on PATH")
    script = _FOLDER / check.script
    if check.kind == "python":
        command = [str(environments.python(check.packages)), str(script)]
    elif check.kind == "node":
        environment["NODE_PATH"] = str(environments.node(check.packages) / "node_modules")
        command = ["node", str(script)]
    elif check.kind == "java":
        jars = sorted((root / "usr" / "share" / "java").glob("*.jar"))
        command = ["java", "-cp", os.pathsep.join(str(jar) for jar in jars), str(script)]
    else:
        command = ["bash", "-euo", "pipefail", str(script)]
    return [*command, *check.arguments], environment


def _below(root: Path, environment: dict[str, str]) -> None:
    """Lets programs and libraries below `root` be found first."""
    if root == Path("/"):
        return
    programs = [root / "usr" / "bin", root / "usr" / "sbin", *sorted((root / "usr" / "lib" / "postgresql").glob("*/bin"))]
    libraries = [root / "usr" / "lib", *sorted((root / "usr" / "lib").glob("*-linux-*"))]
    environment["PATH"] = os.pathsep.join([*map(str, programs), environment.get("PATH", os.defpath)])
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, libraries))

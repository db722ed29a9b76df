"""Two machines, shown on one: a coordinator and a remote worker in network namespaces of their own.

Usage: python -m conformance.two_hosts [--loopback]

Where namespaces are not permitted (or with --loopback) the two hosts are the addresses 127.0.0.1 and 127.0.0.2.
Checks that both workers run tasks of one query and that a worker with another secret is turned away.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.corpora import TPCH, difference

DEADLINE_S = 30.0
SCALE = "0.01"
PASSWORD = "two hosts"


@dataclass(frozen=True)
class Host:
    address: str
    enter: tuple[str, ...] = ()
    """The command prefix that runs a program on this host."""


@contextlib.contextmanager
def namespaces() -> Iterator[tuple[Host, Host]]:
    """Two network namespaces joined by a veth pair. Raises CalledProcessError or OSError where not permitted."""
    tag = f"{os.getpid() % 10000}"
    names = [f"shoal{tag}a", f"shoal{tag}b"]
    addresses = ["10.97.13.1", "10.97.13.2"]
    made: list[str] = []
    try:
        for name in names:
            _run("ip", "netns", "add", name)
            made.append(name)
        _run("ip", "link", "add", f"v{tag}a", "netns", names[0], "type", "veth", "peer", f"v{tag}b", "netns", names[1])
        for name, address, end in zip(names, addresses, "ab", strict=True):
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", f"v{tag}{end}")
            _run("ip", "-n", name, "link", "set", f"v{tag}{end}", "up")
            _run("ip", "-n", name, "link", "set", "lo", "up")
        first, second = (Host(a, ("ip", "netns", "exec", n)) for n, a in zip(names, addresses, strict=True))
        yield first, second
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def check(first: Host, second: Host, folder: Path) -> list[str]:
    """Runs the scene; gives the lines to print. Raises AssertionError where it does not hold."""
    secret, wrong = folder / "secret", folder / "wrong"
    secret.write_text(secrets.token_hex(32))
    wrong.write_text(secrets.token_hex(32))
    config = folder / "shoal.toml"
    config.write_text(f'[users]\nshoal = "{PASSWORD}"\n')
    for path in (secret, wrong, config):
        path.chmod(0o600)
    program = str(Path(sys.executable).parent / "shoal")
    data = str(TPCH.data(SCALE))
    port, cluster_port = free_port(), free_port()
    processes: list[subprocess.Popen[str]] = []

    def start(host: Host, *arguments: str) -> subprocess.Popen[str]:
        processes.append(subprocess.Popen([*host.enter, program, *arguments], stdout=subprocess.PIPE,
                                          stderr=subprocess.STDOUT, text=True))
        return processes[-1]

    try:
        server = start(first, "serve", data, "--host", first.address, "--port", str(port),
                       "--cluster-port", str(cluster_port), "--workers", "1", "--secret-file", str(secret),
                       "--config", str(config))
        assert server.stdout is not None
        seen: list[str] = []
        for line in server.stdout:
            seen.append(line)
            if line.startswith("shoal ready"):
                break
        else:
            raise AssertionError("the coordinator did not start: " + "".join(seen))
        join = ["worker", "--join", f"{first.address}:{cluster_port}", "--listen", f"{second.address}:0"]
        start(second, *join, "--secret-file", str(secret))
        stranger = start(second, *join, "--secret-file", str(wrong))
        nodes = _until(first, port, "SELECT node_id, address FROM system.runtime.nodes WHERE kind = 'worker' ORDER BY 1",
                       lambda rows: len(rows) == 2)
        lines = [f"nodes: {nodes}"]
        for name in ("q03", "q05", "q18"):
            expected = TPCH.answer(name, SCALE)
            assert expected is not None
            problem = _query(first, port, TPCH.query(name), expected)
            assert problem == "", f"{name}: {problem}"
        worked = _until(first, port, "SELECT node_id, count(*) FROM system.runtime.tasks WHERE node_id IN "
                               "(SELECT node_id FROM system.runtime.nodes WHERE kind = 'worker') GROUP BY 1 ORDER BY 1",
                        lambda rows: len(rows) == 2)
        lines.append(f"tasks run by each worker: {worked}")
        output, _ = stranger.communicate(timeout=DEADLINE_S)
        assert stranger.returncode == 1, f"the stranger ended with {stranger.returncode}: {output}"
        lines.append(f"a worker with another secret: exit code {stranger.returncode}, {output.strip().splitlines()[-1]}")
        return lines
    finally:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


CLIENT = """
import json, psycopg, sys
host, port, password, sql = sys.argv[1:]
with psycopg.connect(host=host, port=port, user='shoal', password=password, dbname='files', connect_timeout=10) as c:
    print(json.dumps([[None if v is None else str(v) for v in row] for row in c.execute(sql.encode()).fetchall()]))
"""


def _rows(host: Host, port: int, sql: str) -> list[list[str]]:
    """Runs a statement from a client on the coordinator's host."""
    done = subprocess.run([*host.enter, sys.executable, "-c", CLIENT, host.address, str(port), PASSWORD, sql],
                          capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise AssertionError(done.stderr)
    rows: list[list[str]] = json.loads(done.stdout)
    return rows


def _query(host: Host, port: int, sql: str, expected: Sequence[Sequence[str]]) -> str:
    return difference(_rows(host, port, sql), expected)


def _until(host: Host, port: int, sql: str, enough: object) -> list[list[str]]:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        rows = _rows(host, port, sql)
        if callable(enough) and enough(rows):
            return rows
        assert time.monotonic() < deadline, f"still {rows} for {re.sub(' +', ' ', sql)}"
        time.sleep(0.2)


def main() -> int:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shoal-hosts-")))
        hosts = (Host("127.0.0.1"), Host("127.0.0.2"))
        kind = "two loopback addresses"
        if "--loopback" not in sys.argv:
            try:
                hosts = stack.enter_context(namespaces())
                kind = "two network namespaces"
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"network namespaces are not permitted here ({error}); using loopback addresses")
        print(kind)
        for line in check(*hosts, folder):
            print(" ", line)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs the scripts of the wire protocol against Shoal and PostgreSQL 15, and says where they differ.

    python -m conformance.wire [FILE...]              Shoal beside a live PostgreSQL, else against the recorded answers
    python -m conformance.wire --against postgres     PostgreSQL against the recorded answers
    python -m conformance.wire --byte-at-a-time       every byte in a send of its own (--coalesced: all in one)
    python -m conformance.wire --record FILE...       writes PostgreSQL's answers into the scripts
    python -m conformance.wire --name TEXT            only scripts whose names have this text
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from conformance.wire import run, script, servers
from conformance.wire.sessions import Target


def _targets(stack: ExitStack, names: set[str], scripts: Sequence[script.Script]) -> dict[tuple[str, str], Target]:
    """(server's name, kind) -> where it is, as far as it can be started."""
    from tests.postgres_server import find_binaries, running

    kinds = {item.server for item in scripts}
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shoal-wire-")))
    folder.chmod(0o755)
    if "secure" in kinds:
        servers.certificates(folder)
    found: dict[tuple[str, str], Target] = {}
    for name in sorted(names):
        for kind in sorted(kinds):
            if name == "shoal":
                found[name, kind] = stack.enter_context(servers.shoal(folder if kind == "secure" else None))
            elif (binaries := find_binaries()) is None:
                print("no PostgreSQL on this machine: the recorded answers are the measure", file=sys.stderr)
            else:
                postgres = stack.enter_context(running(binaries))
                if kind == "plain":
                    found[name, kind] = servers.prepare(postgres)
                elif (target := stack.enter_context(servers.secured(postgres, folder))) is not None:
                    found[name, kind] = target
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.wire", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--against", choices=("postgres", "shoal", "both"), default="both")
    parser.add_argument("--byte-at-a-time", action="store_true")
    parser.add_argument("--coalesced", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--name", default="")
    options = parser.parse_args(arguments)
    replay: run.Replay = "bytewise" if options.byte_at_a_time else "coalesced" if options.coalesced else "plain"
    scripts = [item for item in script.read_all(options.files) if options.name in item.title]
    names = {"postgres"} if options.record else {"postgres", "shoal"} if options.against == "both" else {options.against}
    failed = 0
    with ExitStack() as stack:
        targets = _targets(stack, names, scripts)
        answers: dict[str, list[list[list[str]]]] = {}
        for name in sorted(names):
            started = time.monotonic()
            answers[name] = [[]] * len(scripts)
            for kind in sorted({item.server for item in scripts}):
                chosen = [i for i, item in enumerate(scripts) if item.server == kind and (item.live or name == "shoal")]
                if (name, kind) not in targets:
                    continue
                for i, found in zip(chosen, run.run_all([scripts[i] for i in chosen], targets[name, kind], replay)):
                    answers[name][i] = found
            print(f"{name}: {sum(map(bool, answers[name]))} scripts in {time.monotonic() - started:.1f} s")
        if options.record:
            return _record(scripts, answers["postgres"])
        for i, item in enumerate(scripts):
            theirs = answers.get("postgres", [[]] * len(scripts))[i] or None
            for name in sorted(names):
                if answers[name][i]:
                    live = theirs if name == "shoal" else None
                    wrong = run.differences(item, answers[name][i], run.expected(item, live, name == "shoal"))
                    failed += bool(wrong)
                    for difference in wrong:
                        print(f"{name}: {difference}")
    own = sum(step.own is not None for item in scripts for step in item.steps)
    print(f"{len(scripts)} scripts, {failed} with differences; {own} steps have an answer of Shoal's own")
    return 1 if failed else 0


def _record(scripts: Sequence[script.Script], answers: Sequence[list[list[str]]]) -> int:
    for path in {item.file for item in scripts}:
        lines = {step.line: found for item, all_found in zip(scripts, answers) if item.file == path and all_found
                 for step, found in zip(item.steps, all_found)}
        script.rewrite(script.FOLDER / f"{path}.pgt", lines)
    print(f"{sum(map(bool, answers))} scripts recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Scripts of protocol messages (*.pgt) as data: reading them, and writing recorded answers back into them.

The language is described in README.md. A script is a list of steps; a step is a batch of things one session does, what
it then waits for, and the answers on record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent
Value = str | bytes | None | list["Value"]


class ScriptError(Exception):
    """A line that is not of the language; the message names file and line."""


@dataclass(frozen=True)
class Operation:
    """One thing a session does: a message to send (capitalised) or an action on its connection (lower case)."""

    name: str
    arguments: tuple[Value, ...] = ()
    options: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Wait:
    """Read until `count` messages of this kind (`Message`: any), or `end`, `byte`, `nothing` (silence), `later` (do not
    read)."""

    kind: str
    count: int = 1


@dataclass
class Step:
    session: str
    operations: list[Operation] = field(default_factory=list)
    wait: Wait | None = None
    """None: as many ReadyForQuery as the batch asks for."""
    expected: list[str] = field(default_factory=list)
    """PostgreSQL's answer, one message a line."""
    own: list[str] | None = None
    """Shoal's answer where it differs for the reason given."""
    reason: str = ""
    line: int = 0
    """The last line (from 1) of the step before its answers."""


@dataclass
class Script:
    file: str
    name: str
    server: str = "plain"
    """Which server it needs: `plain`, or `secure` (TLS and users with passwords)."""
    live: bool = True
    """False: its answers come from the record only, since no PostgreSQL of version 15 gives them (protocol 3.2)."""
    whole: bool = False
    """What is to be seen depends on bytes that arrive together, so they are never sent one by one."""
    steps: list[Step] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.file}: {self.name}"


_TOKEN = re.compile(r"""\s*(?:(?P<hex>x"[0-9a-fA-F\s]*")|(?P<string>"(?:[^"\\]|\\.)*")|(?P<symbol>[\[\]=+*])
                          |(?P<word>[^\s\[\]=+*"]+))""", re.VERBOSE)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def quote(text: str) -> str:
    """A string literal of the language."""
    out = []
    for character in text:
        if character in '"\\':
            out.append("\\" + character)
        elif character == "\n":
            out.append("\\n")
        elif character == "\t":
            out.append("\\t")
        elif character.isprintable():
            out.append(character)
        else:
            out.append(f"\\u{ord(character):04x}")
    return '"' + "".join(out) + '"'


def _unquote(text: str) -> str:
    return re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", lambda found: chr(int(found[1], 16)) if found[1]
                  else _ESCAPES.get(found[2], found[2]), text[1:-1])


class _Line:
    """The tokens of one line."""

    def __init__(self, text: str, variables: dict[str, str]) -> None:
        self.items: list[tuple[str, str]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ScriptError(f"cannot read {text[position:]!r}")
            self.items.append((match.lastgroup or "", match[match.lastgroup or 0]))
            position = match.end()
        self.at, self.variables = 0, variables

    def peek(self, ahead: int = 0) -> tuple[str, str]:
        return self.items[self.at + ahead] if self.at + ahead < len(self.items) else ("end", "")

    def accept(self, symbol: str) -> bool:
        if self.peek() == ("symbol", symbol):
            self.at += 1
            return True
        return False

    def value(self) -> Value:
        """A list, or a string (`"a" * 3 + "b"`), bytes (x"00"), a word, `null`."""
        if self.accept("["):
            found: list[Value] = []
            while not self.accept("]"):
                found.append(self.value())
            return found
        left = self._term()
        while self.accept("+"):
            right = self._term()
            if not isinstance(left, str | bytes) or type(left) is not type(right):
                raise ScriptError("+ joins two strings, or two of bytes")
            left += right  # type: ignore[operator]
        return left

    def _term(self) -> str | bytes | None:
        kind, text = self.peek()
        self.at += 1
        value: str | bytes | None
        if kind == "hex":
            value = bytes.fromhex(text[2:-1])
        elif kind == "string":
            value = _unquote(text)
            for name, replacement in self.variables.items():
                value = value.replace("${" + name + "}", replacement)
        elif kind == "word":
            value = None if text == "null" else text
        else:
            raise ScriptError(f"unexpected {text or 'end of line'!r}")
        if self.accept("*") and value is not None:
            value *= int(self.items[self.at][1])
            self.at += 1
        return value

    def operation(self) -> Operation:
        kind, name = self.peek()
        if kind != "word":
            raise ScriptError("a message's or an action's name is missing")
        self.at += 1
        arguments: list[Value] = []
        options: dict[str, Value] = {}
        while self.at < len(self.items):
            kind, text = self.peek()
            if kind in ("word", "string") and self.peek(1) == ("symbol", "="):
                self.at += 2
                options[_unquote(text) if kind == "string" else text] = self.value()
            else:
                arguments.append(self.value())
        return Operation(name, tuple(arguments), options)


_STEP = re.compile(r"([A-Z])([>?<!])\s?(.*)$")


def read(path: Path) -> list[Script]:
    """The scripts of one file. Raises: ScriptError."""
    scripts: list[Script] = []
    variables: dict[str, str] = {}
    script: Script | None = None
    step: Step | None = None
    asking = False  # the last line belongs to the batch
    apart = True  # an empty line or a comment stands before this one
    for number, text in enumerate(path.read_text().splitlines(), 1):
        try:
            if not text.strip() or text.startswith("#"):
                asking, apart = False, True
            elif text.startswith("script "):
                line = _Line(text[7:], variables)
                head = line.operation() if line.peek()[0] == "word" else Operation("", (line.value(),), {})
                while line.at < len(line.items):
                    key = line.items[line.at][1]
                    line.at += 2
                    head.options[key] = line.value()
                script = Script(path.stem, str(head.arguments[0]), str(head.options.get("server", "plain")),
                                head.options.get("live", "yes") != "no", head.options.get("whole", "no") == "yes")
                scripts.append(script)
                step, asking = None, False
            elif text.startswith("let "):
                line = _Line(text[4:], variables)
                name = line.items[0][1]
                line.at = 2
                variables[name] = str(line.value())
            else:
                match = _STEP.match(text)
                if match is None or script is None:
                    raise ScriptError("not a line of a script")
                session, mark, rest = match.groups()
                if mark in ">?":
                    if step is None or not asking or step.session != session or step.wait is not None:
                        step = Step(session)
                        script.steps.append(step)
                    asking, apart, step.line = True, False, number
                    if mark == ">":
                        step.operations.append(_Line(rest, variables).operation())
                    else:
                        words = rest.split()
                        step.wait = Wait(words[-1], int(words[0]) if len(words) > 1 else 1)
                elif step is None or step.session != session or apart:
                    raise ScriptError("an answer without a question")
                elif mark == "<":
                    asking = False
                    step.expected.append(rest)
                else:
                    asking = False
                    if rest.startswith("because "):
                        step.reason, step.own = rest[8:], step.own or []
                    else:
                        step.own = [*(step.own or []), rest]
        except (ScriptError, ValueError, IndexError) as error:
            raise ScriptError(f"{path.name}:{number}: {error}") from None
    for script in scripts:
        for step in script.steps:
            if step.own is not None and not step.reason:
                raise ScriptError(f"{path.name}:{step.line}: an answer of Shoal's own needs a line `! because ...`")
    return scripts


def read_all(files: Sequence[Path] = ()) -> Iterator[Script]:
    """The scripts of these files, or of all."""
    for path in files or sorted(FOLDER.glob("*.pgt")):
        yield from read(path)


def rewrite(path: Path, answers: dict[int, list[str]]) -> None:
    """Replaces the recorded answers after the steps that end in these lines."""
    lines, kept, answered = path.read_text().splitlines(), [], False
    for number, text in enumerate(lines, 1):
        match = _STEP.match(text)
        if match is not None and match[2] == "<" and answered:
            continue
        if match is None or match[2] != "!":
            answered = False
        kept.append(text)
        if number in answers:
            session = _STEP.match(text)[1]  # type: ignore[index]
            kept += [f"{session}< {answer}" for answer in answers[number]]
            answered = True
        elif match is not None and match[2] == "!":
            answered = True
    path.write_text("\n".join(kept) + "\n")

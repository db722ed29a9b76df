"""The process that runs risky regular expressions for backtracking.py: `python -I -S` on this file.

    -> a line of JSON: [pattern, text, only the first match]
    <- a line of JSON: for every match the (start, end) of the whole and of each group

A search that takes too long ends the process: an alarm does so whatever the matcher is at. So does the end of stdin.
"""

import json
import re
import signal
import sys

TIMEOUT_S = 2.0


def main() -> None:
    """Answers until stdin ends."""
    for line in sys.stdin.buffer:
        source, text, first = json.loads(line)
        pattern = re.compile(source)
        signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)
        found = []
        for match in pattern.finditer(text):
            found.append([match.span(group) for group in range(pattern.groups + 1)])
            if first:
                break
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""Checks the answers of examples/EXERCISES.md in a copy of the sources, whose folder is the first argument. Numbers of
exercises can follow; without them, all are checked.

An exercise begins with an edit. If it has a table of places, the compiler must find errors in exactly these files, and then
the edits of the answer are made too. In the end, exactly the tests that the answer lists must fail. A test "not in every run"
may fail: whether it does depends on threads.
"""

import re
import subprocess
import sys
from pathlib import Path

TEXT = Path("examples/EXERCISES.md").read_text()
# Without optimisation, the simulation takes most of the time.
TEST = ["cargo", "test", "--lib", "--no-default-features", "--features", "net,threads", "--locked",
        "--message-format", "short", "--config", "profile.test.package.mio-echo.opt-level=1"]
# Seconds. An edit must not make a test hang, so this is the limit of a build and a run on a busy machine.
LONGEST = 180


def main():
    copy = Path(sys.argv[1])
    failed = failed_tests(test(copy))
    if failed:
        sys.exit(f"these tests fail without an edit: {', '.join(failed)}")
    exercises = [part.split("\n", 1) for part in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]]
    if sys.argv[2:]:
        exercises = [exercise for exercise in exercises if exercise[0].split(".")[0] in sys.argv[2:]]
    wrong = sum(not is_right(copy, title, body) for title, body in exercises)
    print(f"{len(exercises)} exercises, {wrong} wrong")
    sys.exit(wrong > 0)


def is_right(copy, title, body):
    """Checks one exercise, and takes its edits back."""
    task, answer = body.split("<details>")
    originals = {path: (copy / path).read_text() for path, _, _ in edits(body)}
    checks = []
    make(copy, edits(task))
    places = set(re.findall(r"^\| `(src/[^`]*)`", task, re.MULTILINE))
    if places:
        checks.append(("files with errors", places, files_with_errors(test(copy))))
        make(copy, edits(answer))
    tests = set(re.findall(r"^- `(\w+)`$", answer, re.MULTILINE))
    possible = set(re.findall(r"^- `(\w+)`, not in every run$", answer, re.MULTILINE))
    checks.append(("tests that fail", tests, failed_tests(test(copy)) - possible))
    for path, text in originals.items():
        (copy / path).write_text(text)
    for what, expected, found in checks:
        print(f"{title}: {what}: {', '.join(sorted(found)) or 'none'}", flush=True)
        if found != expected:
            print(f"    WRONG: the text says: {', '.join(sorted(expected)) or 'none'}", flush=True)
    return all(expected == found for _, expected, found in checks)


def edits(text):
    """Returns the edits in a text: the file, its old lines, and its new lines."""
    path, found = None, []
    for name, diff in re.findall(r"^In `([^`]*)`|^```diff\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if name:
            path = name
        else:
            found.append((path, side(diff, "-"), side(diff, "+")))
    return found


def side(diff, sign):
    return "".join(line[1:] + "\n" for line in diff.splitlines() if line[0] in " " + sign)


def make(copy, edits):
    for path, old, new in edits:
        text = (copy / path).read_text()
        if text.count(old) != 1:
            sys.exit(f"{path} has these lines {text.count(old)} times, and not once:\n{old}")
        (copy / path).write_text(text.replace(old, new))


def test(copy):
    """Runs the unit tests."""
    # timeout(1) ends the tests too, and not cargo alone.
    return subprocess.run(["timeout", str(LONGEST), *TEST], cwd=copy, capture_output=True, text=True)


def failed_tests(result):
    """Returns the names of the tests that failed. The tests of the simulation share one name."""
    if "\ntest result: " not in result.stdout:
        sys.exit(f"the tests did not finish:\n{result.stdout}{result.stderr}")
    paths = re.findall(r"^test (\S+) .*FAILED$", result.stdout, re.MULTILINE)
    return {"sim" if "::sim::" in path else path.split("::")[-1] for path in paths}


def files_with_errors(result):
    return set(re.findall(r"^(src/[^:]*):.* error", result.stderr, re.MULTILINE))


main()

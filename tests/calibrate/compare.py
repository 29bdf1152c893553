#!/usr/bin/env python3
"""Counts how often `bench compare` finds a difference between equal servers, and how often it finds one that exists.

Run it by hand, on a machine that does nothing else, with a release build:

    cargo build --release
    tests/calibrate/compare.py target/release/mio-echo

It takes about an hour. All runs last a second, after 200 ms of warm-up, and there are three parts:

- equal: the server of `mio-echo serve` with itself, 40 times. At most 5 comparisons may find a difference: 5 % are expected,
  and 6 or more of 40 happen in 1 % of all cases.
- slowed: the same 10 times, with a busy loop for each CPU from half time on. At most 1 may find a difference.
- slower: the server of spinning_server.py, which spends processor time on each message, 10 times. First it is compared with
  itself, which tells the processor time of an echo and the smallest difference that is found with 90 %. Then it is compared
  with a server that spends 1.5 times this difference more. At least 9 comparisons must find it slower.

The exit code is 0 if all parts are as expected, and 1 otherwise. `--equal 2 --slowed 2 --slower 2` is a trial in which the
same shares are allowed. The options of this script come first. Options of `bench compare` may follow the executable, after
`--`: fewer rounds, more connections.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile

import spinning_server

# See the module's documentation: 5 of 40.
MOST_FOUND_OF_EQUAL = 5 / 40

# The smallest difference is found in 90 % of the comparisons, one that is 1.5 times as large in nearly all.
LEAST_FOUND_OF_SLOWER = 9 / 10
TIMES_SMALLEST = 1.5

# The processor time that spinning_server.py spends on each message at least, in nanoseconds. It is several times what
# Python needs for an echo, so that the time of an echo is known and steady.
SPIN = 50_000


def main():
    options = parse_options()
    command = f"{shlex.quote(options.executable)} serve --quiet --listen 127.0.0.1:{{port}}"
    results = [
        equal("equal", options.equal, lambda: compare(options, command, command)),
        equal("slowed", options.slowed, lambda: compare(options, command, command, slow_at_half_time=True)),
        slower(options),
    ]
    sys.exit(0 if all(results) else 1)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("executable", help="path of mio-echo")
    parser.add_argument("compare", nargs="*", help="options of bench compare", default=[])
    for name, times in [("equal", 40), ("slowed", 10), ("slower", 10)]:
        parser.add_argument(f"--{name}", type=int, default=times, metavar="TIMES", help=f"comparisons of the part {name}")
    return parser.parse_args()


def equal(part, times, compare_once):
    """Compares equal servers, and returns True if few enough comparisons find a difference."""
    print(f"{part}: a server with itself")
    found = sum(compare_once()["conclusion"] in ("faster", "slower") for _ in range(times))
    most = int(MOST_FOUND_OF_EQUAL * times)
    print(f"{part}: {found} of {times} found a difference, at most {most} expected")
    return found <= most


def slower(options):
    """Compares a server with one that spends more, and returns True if enough comparisons find the latter slower."""
    print("slower: a server with itself, and with one that spends more processor time on an echo")
    found = 0
    for _ in range(options.slower):
        itself = compare(options, server(SPIN), server(SPIN))
        figures = {figure["figure"]: figure for figure in itself["figures"]}
        nanoseconds = 1e9 / figures["messages_per_cpu_second"]["a"]
        more = TIMES_SMALLEST * figures["messages_per_sec"]["ratio"]["smallest_difference"]
        print(f"        an echo takes {nanoseconds / 1e3:.1f} us of processor time, {more:.1%} more are", flush=True)
        report = compare(options, server(SPIN), server(SPIN + round(more * nanoseconds)))
        found += report["conclusion"] == "slower"
    least = int(LEAST_FOUND_OF_SLOWER * options.slower)
    print(f"slower: {found} of {options.slower} found it slower, at least {least} expected")
    return found >= least


def server(spin):
    """Returns the command of a server that spends `spin` nanoseconds on each message."""
    return f"{shlex.quote(sys.executable)} {shlex.quote(spinning_server.__file__)} {{port}} {spin}"


def compare(options, a, b, slow_at_half_time=False):
    """Runs `bench compare`, prints its words and returns the report."""
    arguments = ["bench", "compare", "-d", "1s", "-w", "200ms", "-J", *options.compare, a, b]
    loops = []
    # A pipe would be full before the report is complete, and this process reads standard error until then.
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [options.executable, *arguments], stdout=output, stderr=subprocess.PIPE, text=True
        )
        try:
            for line in process.stderr:
                if slow_at_half_time and not loops and is_second_half(line):
                    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()
        if process.wait() != 0:
            sys.exit(f"bench compare has failed with {process.returncode}: {shlex.join(arguments)}")
        output.seek(0)
        report = json.load(output)
    repeated = report["rounds"]["repeated"]
    print(f"        {report['text']}; {repeated} rounds repeated", flush=True)
    return report


def is_second_half(line):
    """Returns True for the line of a round of the second half, such as `round 7/12 - 20 s left`."""
    words = line.split()
    if words[:1] != ["round"] or "/" not in words[1]:
        return False
    current, rounds = (int(number) for number in words[1].split("/"))
    return 2 * current > rounds


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Counts how often `bench` calls a quiet machine and a busy machine SUSPECT.

Run it by hand, on a machine that does nothing else, with a release build:

    cargo build --release
    tests/calibrate/interference.py target/release/mio-echo

It measures the server of `bench` for a second, 40 times on the quiet machine and 20 times with a busy loop for each CPU.
The limits in src/load/judge/interference.rs are right if at most 2 of the quiet runs are SUSPECT, and all busy runs are
SUSPECT because of others (`busy_machine`). The exit code is 0 then, and 1 otherwise.

The options of this script come first. Options of `bench` may follow the executable, after `--`: a rate, pins, more
connections.
"""

import argparse
import json
import os
import subprocess
import sys

# One quiet run in twenty may have met something that was not quiet: a cron job, a neighbour of the virtual machine.
MOST_SUSPECT_PER_QUIET_RUN = 2 / 40


def main():
    options = parse_options()
    quiet = [measure(options) for _ in announced("quiet", options.quiet)]
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
    try:
        busy = [measure(options) for _ in announced("busy", options.busy)]
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    suspect = sum(not report["verdict"]["valid"] for report in quiet)
    found = sum("busy_machine" in report["verdict"]["codes"] for report in busy)
    most = int(MOST_SUSPECT_PER_QUIET_RUN * options.quiet)
    print(f"quiet: {suspect} of {options.quiet} SUSPECT, at most {most} expected")
    print(f"busy: {found} of {options.busy} SUSPECT because of others, all expected")
    sys.exit(0 if suspect <= most and found == options.busy else 1)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("executable", help="path of mio-echo")
    parser.add_argument("bench", nargs="*", help="options of bench", default=[])
    parser.add_argument("--quiet", type=int, default=40, metavar="RUNS", help="runs on the quiet machine")
    parser.add_argument("--busy", type=int, default=20, metavar="RUNS", help="runs with busy loops")
    return parser.parse_args()


def announced(name, count):
    """Prints the head of a table, and yields `count` times."""
    print(f"{name:5}  others  waits of generator and server  messages/s  codes")
    return range(count)


def measure(options):
    """Runs `bench`, prints a line of the table and returns the report."""
    command = [options.executable, "bench", "-d", "1s", "-w", "200ms", "-J", *options.bench]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    report = json.loads(output)
    machine = report["interference"]
    others = text(machine["others_cores"], "{:.3f}")
    waits = [text(machine[name], "{:.2%}") for name in ("generator_wait", "server_wait")]
    rate = text(report["metrics"]["messages_per_sec"], "{:.0f}")
    codes = ", ".join(report["verdict"]["codes"])
    print(f"       {others:>6}  {waits[0]:>18}  {waits[1]:>9}  {rate:>10}  {codes}", flush=True)
    return report


def text(number, form):
    return "-" if number is None else form.format(number)


if __name__ == "__main__":
    main()

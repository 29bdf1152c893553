#!/usr/bin/env python3
"""Compares the mean response of an open loop with that of queueing theory.

Run it by hand, on a machine that does nothing else, with a release build:

    cargo build --release
    tests/calibrate/queue.py target/release/mio-echo

The server of spinning_server.py, which spends 1 ms on each message, is a queue M/G/1 if the messages arrive at random. Its mean
response is E[R] = T0 + S + rate E[S^2] / (2 (1 - rate S)), by Pollaczek and Khinchine, where

    S   is the time that the server takes: 1 / (messages/s of many connections in a closed loop),
    T0  is the time of the way to the server and back: p50 of one connection in a closed loop, less S,
    E[S^2] is S^2 and the variance of the response of one connection: the system may interrupt the server.

At a load of 0.5 and of 0.7, the measured mean has to be within 10 % of it. A run that the machine has disturbed is repeated,
three times at most, and not judged if all were. The exit code is 0 if all loads were judged and are close enough, 1 if one
is not, and 2 if one was not judged.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import spinning_server

# The processor time that the server spends on each message. A sleep of this length would end late, and differ each time.
SERVICE_NANOSECONDS = 1_000_000

LOADS = [0.5, 0.7]

# In 60 s at 500 messages/s, the mean response varies by 1 to 3 % by chance.
TOLERANCE = 0.10

MOST_RUNS = 4

# The reasons of SUSPECT for which the machine is to blame.
OF_THE_MACHINE = {"busy_machine", "stolen_time", "throttled", "stalled"}


def main():
    options = parse_options()
    command = [sys.executable, spinning_server.__file__, "0", str(SERVICE_NANOSECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().removeprefix("listening on ").strip()
            code = compare(options, [address, "--server-pid", str(server.pid)])
        finally:
            server.kill()
    sys.exit(code)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("executable", help="path of mio-echo")
    parser.add_argument("--duration", type=int, default=60, metavar="S", help="seconds of a run at a load")
    return parser.parse_args()


def compare(options, target):
    """Prints a line for each load, and returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        distribution = os.path.join(folder, "response.hgrm")
        saturated = quiet_run(options, [*target, "-c", "16", "-d", "5s"])
        single = saturated and quiet_run(options, [*target, "-c", "1", "-d", "5s", "--hgrm", distribution])
        if single is None:
            print("the closed loops were disturbed: nothing is judged")
            return 2
        with open(distribution, encoding="utf-8") as lines:
            deviation = float(re.search(r"StdDeviation *= *([0-9.]+)", lines.read())[1]) / 1e3
    service = 1 / saturated["metrics"]["messages_per_sec"]
    squared = service**2 + deviation**2
    way = single["metrics"]["response_us"]["p50"] / 1e6 - service
    print(f"S {service * 1e6:.1f} us with deviation {deviation * 1e6:.1f} us, T0 {way * 1e6:.1f} us")
    print("load  rate (messages/s)  mean response (us)  theory (us)  difference")
    codes = [judge(options, target, load, service, squared, way) for load in LOADS]
    return 1 if 1 in codes else max(codes)


def judge(options, target, load, service, squared, way):
    rate = load / service
    theory = way + service + rate * squared / (2 * (1 - load))
    seconds = f"{options.duration}s"
    report = quiet_run(options, [*target, "-r", f"{rate:.3f}", "--arrival", "poisson", "-d", seconds])
    if report is None:
        print(f"{load:<4}  {rate:17.1f}  not judged: the machine was disturbed")
        return 2
    mean = report["metrics"]["response_us"]["mean"] / 1e6
    difference = mean / theory - 1
    print(f"{load:<4}  {rate:17.1f}  {mean * 1e6:18.1f}  {theory * 1e6:11.1f}  {difference:+9.1%}", flush=True)
    return 0 if abs(difference) <= TOLERANCE else 1


def quiet_run(options, arguments):
    """Returns the report of a run that the machine has not disturbed, or None."""
    for _ in range(MOST_RUNS):
        command = [options.executable, "bench", "-J", *arguments]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        report = json.loads(output)
        disturbances = OF_THE_MACHINE.intersection(report["verdict"]["codes"])
        if not disturbances:
            return report
        print(f"disturbed: {', '.join(sorted(disturbances))}", flush=True)
    return None


if __name__ == "__main__":
    main()

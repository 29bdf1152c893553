#!/usr/bin/env python3
"""Compares the server with two threads with one thread, and with servers on tokio and in Go that use all CPUs.

Run it by hand on a Linux machine with two CPUs that does nothing else. It needs cargo, Debian's golang-go, and a release
build:

    cargo build --release
    benches/threads/compare.py target/release/mio-echo

All servers and the generator, which is `mio-echo bench -t 2`, share the CPUs. In each round all servers run in turn, and
a round begins with another server each time. `1 again` is `--threads 1` a second time: its distance from 1.00 is the
noise. The tables are in Markdown. A figure is the median of the ratios of a round. The script takes 20 minutes.

The exit code is 1 if `--threads 2` does less than 0.95 of the work of `--threads 1` in a second of processor time, less
than 1.1 of that of the better of tokio and Go, or, for short connections, less than 0.9 of the connections a second of
`--threads 1`.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ADDRESS = "127.0.0.1:7107"

# The loads: a name, and options of `bench`.
LOADS = {
    f"{connections} connections, {size}": ["-c", connections.replace(",", ""), "-s", size.replace(" KiB", "k").replace(" B", "")]
    for size in ("64 B", "16 KiB")
    for connections in ("64", "1,000", "10,000")
}
# A reset leaves no port in TIME_WAIT, so that one run does not slow the next.
CHURN = "connect, one echo, reset"
LOADS[CHURN] = ["-c", "64", "--churn", "--close", "rst"]

ONE, AGAIN, TWO, TOKIO, GO = "--threads 1", "1 again", "--threads 2", "tokio", "Go"

LEAST_OF_ONE_PER_CPU = 0.95
LEAST_OF_OTHERS_PER_CPU = 1.1
LEAST_OF_ONE_CHURN = 0.9


def main():
    options = parse_options()
    with tempfile.TemporaryDirectory() as work:
        servers = build(options.executable, work)
        figures = {load: [] for load in options.loads}
        for number in range(options.rounds):
            for load in options.loads:
                figures[load].append(run_round(options, servers, load, number))
                print(f"round {number + 1}: {load}", file=sys.stderr)
    print_table("echoes a second, relative to --threads 1", figures, "per_second")
    print_table("echoes a second of processor time of the server, relative to --threads 1", figures, "per_cpu_second")
    print_medians(figures)
    sys.exit(0 if all([holds(load, rounds) for load, rounds in figures.items()]) else 1)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("executable", help="path of mio-echo")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2, help="length of each run, after a second of warm-up")
    parser.add_argument("--loads", nargs="+", default=list(LOADS), choices=LOADS, metavar="NAME")
    return parser.parse_args()


def build(executable, work):
    """Builds the other servers. Returns the command of each server."""
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--quiet", "--target-dir", f"{work}/target"],
        cwd=f"{HERE}/tokio",
        check=True,
    )
    go = shutil.which("go") or sys.exit("go is not installed (Debian: golang-go)")
    environment = os.environ | {"GO111MODULE": "off", "GOCACHE": f"{work}/cache"}
    subprocess.run([go, "build", "-o", f"{work}/go-echo", f"{HERE}/echo.go"], env=environment, check=True)
    one, two = ([executable, "serve", "--quiet", "--listen", ADDRESS, "--threads", str(n)] for n in (1, 2))
    tokio = [f"{work}/target/release/tokio-echo", ADDRESS]
    return {ONE: one, AGAIN: one, TWO: two, TOKIO: tokio, GO: [f"{work}/go-echo", ADDRESS]}


def run_round(options, servers, load, number):
    """Runs a load against all servers. Returns the figures of each."""
    first = number % len(servers)
    order = list(servers)[first:] + list(servers)[:first]
    return {name: run(options, servers[name], load) for name in order}


def run(options, command, load):
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for_server()
        report = bench(options, server.pid, LOADS[load])
    finally:
        server.kill()
        server.wait()
    metrics = report["metrics"]
    if metrics["errors"] or metrics["corrupted"] or metrics["connections_achieved"] != metrics["connections_asked"]:
        sys.exit(f"{command[0]}, {load}: errors {metrics['errors']}, {metrics['connections_achieved']} connections")
    return {
        "per_second": metrics["messages_per_sec"],
        "per_cpu_second": metrics["messages"] / report["server"]["cpu_s"],
    }


def wait_for_server():
    host, port = ADDRESS.split(":")
    for _ in range(100):
        try:
            return socket.create_connection((host, int(port))).close()
        except OSError:
            time.sleep(0.1)
    sys.exit("the server does not accept connections")


def bench(options, server_pid, load):
    """Runs bench with a load. Returns its report."""
    command = [options.executable, "bench", "-t", "2", "-d", f"{options.seconds}s", "-w", "1s", "--json"]
    command += ["--server-pid", str(server_pid), *load, ADDRESS]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout)


def print_table(title, rounds_of, figure):
    print(f"\n{title}\n\n| load | {TWO} | {AGAIN} | {TOKIO} | {GO} |\n|---|---|---|---|---|")
    for load, rounds in rounds_of.items():
        cells = [f"{relative(rounds, figure, name):.2f}" for name in (TWO, AGAIN, TOKIO, GO)]
        print(f"| {load} | {' | '.join(cells)} |")


def print_medians(rounds_of):
    print(f"\nechoes a second of {ONE}, medians")
    for load, rounds in rounds_of.items():
        print(f"{load}: {statistics.median(round[ONE]['per_second'] for round in rounds):.0f}")


def relative(rounds, figure, name, to=(ONE,)):
    """Returns the median over the rounds of a server's figure, divided by the best of other servers in the same round."""
    return statistics.median(round[name][figure] / max(round[other][figure] for other in to) for round in rounds)


def holds(load, rounds):
    """Prints which bar a load does not reach. Returns True if it reaches all."""
    ratios = [
        (relative(rounds, "per_cpu_second", TWO), LEAST_OF_ONE_PER_CPU, f"of the work of {ONE} in a second of processor time"),
        (
            relative(rounds, "per_cpu_second", TWO, (TOKIO, GO)),
            LEAST_OF_OTHERS_PER_CPU,
            "of the work of the better of tokio and Go in a second of processor time",
        ),
    ]
    if load == CHURN:
        ratios.append((relative(rounds, "per_second", TWO), LEAST_OF_ONE_CHURN, f"of the connections a second of {ONE}"))
    missed = [(ratio, least, text) for ratio, least, text in ratios if ratio < least]
    for ratio, least, text in missed:
        print(f"{load}: {TWO} does {ratio:.2f} {text}, and {least} is the least")
    return not missed


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compares the latency that `bench --beside` finds under load with what is known otherwise.

Run it by hand as root, on Linux with tc(8), ip(8) and ping(8), on a machine that does nothing else, with a release build:

    cargo build --release
    sudo tests/calibrate/beside.py target/release/mio-echo --greedy './greedy {port}'

1. A slow link. A client and a server in network namespaces of their own are joined by a router in a third one. The side of
   the router that faces the server has a token bucket of 10 Mbit/s with a FIFO of 125 kB, which holds the bytes of 100 ms.
   (On the side of the client, the kernel would keep the FIFO nearly empty: TCP small queues.) What bulk connections add to
   the p50 must lie within 10 % of what they add to ICMP echoes of ping(8) in the same seconds.
2. The loopback interface, where the server decides. Against the server of `bench`, the added p50 must be under 1 ms.
   A greedy server reads a connection as long as there are bytes, so that pings, one after another, wait for seconds.
   `--greedy` names a command that starts such a server on {port}: the added max must be over 1 s.

The exit code is 0 if all holds, and 1 otherwise.
"""

import argparse
import datetime
import json
import os
import re
import shlex
import socket
import statistics
import subprocess
import sys
import time

# The slow link. Two connections fill the FIFO with few losses. A lost ping of TCP delays those behind it until it is sent
# again, while ping(8) counts no lost echo: with eight connections and 50 pings a second that made a difference of 12 %.
SLOW_LINK = ["--beside", "2x64k", "-r", "10"]
ECHOES_PER_SECOND = 10
TOLERANCE = 0.10

# The loopback interface: many large messages, and one ping after another.
LOOPBACK = ["--beside", "8x1MiB", "-r", "100", "-p", "1"]
OWN_MOST_US = 1_000
GREEDY_LEAST_US = 1_000_000

# The namespaces are new, so no other process uses these names and addresses.
CLIENT, ROUTER, SERVER = [f"beside-{name}-{os.getpid()}" for name in ("client", "router", "server")]
SERVER_ADDRESS = "10.77.2.1"


def main():
    options = parse_options()
    results = [slow_link(options), own_server(options)]
    if options.greedy:
        results.append(greedy_server(options))
    sys.exit(0 if all(results) else 1)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("executable", help="path of mio-echo")
    parser.add_argument("--greedy", metavar="COMMAND", help="command of a greedy server, with {port}")
    parser.add_argument("--seconds", type=int, default=10, help="length of each measurement")
    return parser.parse_args()


def slow_link(options):
    """Compares bench with ping(8) on a slow link."""
    processes = []
    try:
        make_network()
        address = f"{SERVER_ADDRESS}:7007"
        serve = [options.executable, "serve", "--quiet", "--listen", address]
        processes.append(subprocess.Popen(inside(SERVER, serve), stdout=subprocess.DEVNULL))
        wait_for_server(lambda: run(inside(CLIENT, ["bash", "-c", f"</dev/tcp/{address.replace(':', '/')}"])))
        ping = ["ping", "-D", "-n", "-i", str(1 / ECHOES_PER_SECOND), SERVER_ADDRESS]
        processes.append(subprocess.Popen(inside(CLIENT, ping), stdout=subprocess.PIPE, text=True))
        report = bench(options, [*SLOW_LINK, address], CLIENT)
        processes[-1].terminate()
        echoes = parse_echoes(processes[-1].communicate()[0])
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for namespace in (CLIENT, ROUTER, SERVER):
            subprocess.run(["ip", "netns", "del", namespace], check=False)
    idle, loaded = [median_within(echoes, report[row]) for row in ("idle", "loaded")]
    by_ping, by_bench = loaded - idle, report["added"]["p50"]["us"]
    difference = by_bench / by_ping - 1
    print(f"slow link: bench adds {by_bench / 1e3:.2f} ms, ping adds {by_ping / 1e3:.2f} ms: {difference:+.1%}, "
          f"within {TOLERANCE:.0%} expected; {bulk_rate(report)}", flush=True)
    return abs(difference) <= TOLERANCE


def own_server(options):
    """Measures the server of bench on the loopback interface."""
    report = bench(options, LOOPBACK)
    added = report["added"]["p50"]["us"]
    print(f"own server: bench adds {added / 1e3:.3f} ms, under {OWN_MOST_US / 1e3:g} ms expected; {bulk_rate(report)}",
          flush=True)
    return added < OWN_MOST_US


def greedy_server(options):
    """Measures a greedy server on the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    command = shlex.split(options.greedy.replace("{port}", str(address[1])))
    server = subprocess.Popen(command)
    try:
        wait_for_server(lambda: socket.create_connection(address).close())
        report = bench(options, [*LOOPBACK, "--server-pid", str(server.pid), f"127.0.0.1:{address[1]}"])
    finally:
        server.kill()
        server.wait()
    [p50, most] = [text(report["added"][figure]) for figure in ("p50", "max")]
    print(f"greedy server: bench adds {p50} to the p50 and {most} to the max, over {GREEDY_LEAST_US / 1e3:g} ms expected; "
          f"{bulk_rate(report)}", flush=True)
    return (report["added"]["max"]["us"] or 0) > GREEDY_LEAST_US


def bench(options, arguments, namespace=None):
    """Runs bench and returns the report."""
    command = [options.executable, "bench", "-w", "3s", "-d", f"{options.seconds}s", "-J", *arguments]
    command = inside(namespace, command) if namespace else command
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return json.loads(output)


def make_network():
    """Makes the namespaces, the cables between them, and the token bucket."""
    for namespace in (CLIENT, ROUTER, SERVER):
        run(["ip", "netns", "add", namespace])
        run(inside(namespace, ["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"]))
        # Reno is part of every kernel, and fills the FIFO. BBR leaves it nearly empty.
        run(inside(namespace, ["sysctl", "-q", "-w", "net.ipv4.tcp_congestion_control=reno"]))
    for network, (host, end) in enumerate([(CLIENT, "client"), (SERVER, "server")], start=1):
        ends = ["ip", "link", "add", "router", "netns", host, "type", "veth", "peer", "name", end, "netns", ROUTER]
        run(ends)
        for namespace, device, number in [(host, "router", 1), (ROUTER, end, 254)]:
            # Without segmentation offload, packets have the size that they have on a real link.
            run(inside(namespace, ["ip", "link", "set", device, "gso_max_segs", "1", "up"]))
            run(inside(namespace, ["ip", "address", "add", f"10.77.{network}.{number}/24", "dev", device]))
        run(inside(host, ["ip", "route", "add", "default", "via", f"10.77.{network}.254"]))
    bucket = ["rate", "10mbit", "burst", "3000", "limit", "125000"]
    run(inside(ROUTER, ["tc", "qdisc", "add", "dev", "server", "root", "tbf", *bucket]))


def inside(namespace, command):
    return ["ip", "netns", "exec", namespace, *command]


def run(command):
    subprocess.run(command, check=True, stderr=subprocess.PIPE)


def wait_for_server(connect):
    for _ in range(100):
        try:
            return connect()
        except (OSError, subprocess.CalledProcessError):
            time.sleep(0.1)
    sys.exit("the server does not accept connections")


def parse_echoes(output):
    """Returns the time of each reply since 1970 and its round trip in microseconds, from the output of ping(8)."""
    lines = re.findall(r"^\[(\d+\.\d+)\].* time=([\d.]+) ms", output, re.MULTILINE)
    return [(float(at), float(trip) * 1e3) for at, trip in lines]


def median_within(echoes, report):
    """Returns the median of the round trips that began in the window of the report."""
    began = datetime.datetime.fromisoformat(report["began"].replace("Z", "+00:00")).timestamp()
    end = began + report["metrics"]["seconds"]
    return statistics.median(trip for at, trip in echoes if began <= at - trip / 1e6 < end)


def text(added):
    """Returns a difference in words."""
    if added["us"] is None:
        return "-"
    return f"{'>' if added['lower_bound'] else ''}{added['us'] / 1e3:.0f} ms"


def bulk_rate(report):
    metrics = report["bulk"]["metrics"]
    words = ", ".join(report["loaded"]["verdict"]["codes"]) or "valid"
    return f"bulk {metrics['mb_per_sec']:.2f} MB/s each way; {words}"


if __name__ == "__main__":
    main()

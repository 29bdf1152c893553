"""Writes RESULTS.md and plot.svg from the rows of `guest`.

report.py ROWS FOLDER: the file with the rows, and the folder of the results. Standard input is the first lines of the report.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

TERMS = """\
- **server**: resident memory that the server gains. It gets memory in huge pages of 2 MB, so few connections may show nothing.
- **bench**: resident memory of `mio-echo bench`, mostly a fixed part.
- **kernel**: slab memory that the kernel gains, for both ends of the connections.
- **connect**: from the start of `mio-echo bench` until all connections are established; then the server has accepted all.
- **close**: from the signal to `mio-echo bench` until no socket is left, except in TIME_WAIT.
- **idle CPU**: processor time per second, in ms. server: without any message. bench: with one message per second.
  machine: both processors while the server has no message.
- **ping**: response to one connection with 100 messages per second, before the idle connections are opened and beside them;
  the lowest of three p99. ratio: beside / empty.
"""


class Row:
    """One row of the table."""

    def __init__(self, line):
        self.fields = dict(field.split("=") for field in line.split())
        self.connections = self.number("connections")
        self.threads = self.number("threads")

    def number(self, name):
        return int(self.fields[name])

    def ping(self, name):
        """Returns p99 in milliseconds."""
        return float(self.fields[name]) / 1000

    def ratio(self):
        return self.ping("ping_beside_us") / self.ping("ping_empty_us")

    def megabytes(self):
        """Returns the memory of the server, of bench and of the kernel."""
        return [self.number(name) * 1024 / 1e6 for name in ("server_kb", "bench_kb", "slab_kb")]


def main():
    file, folder = sys.argv[1:]
    lines = Path(file).read_text().splitlines()
    rows = [Row(line) for line in lines if line.startswith("connections=")]
    draw([row for row in rows if row.threads == 1], Path(folder, "plot.svg"))
    head = sys.stdin.read()
    Path(folder, "RESULTS.md").write_text(f"{head}\n{table(rows)}\n{each(rows)}\n\n![plot](plot.svg)\n\n{TERMS}")


def each(rows):
    """Returns what a connection costs, by the difference between the first and the last row of one thread."""
    one_thread = sorted((row for row in rows if row.threads == 1), key=lambda row: row.connections)
    first, last = one_thread[0], one_thread[-1]
    more = last.connections - first.connections
    if not more:
        return ""
    growth = zip(first.megabytes(), last.megabytes())
    server, bench, kernel = [round((after - before) * 1e6 / more) for before, after in growth]
    return (
        f"From {first.connections:,} to {last.connections:,} connections, each costs {server} B in the server, {bench} B in bench "
        f"and {kernel:,} B in the kernel."
    )


def table(rows):
    heads = [
        "connections", "threads", "server, MB", "bench, MB", "kernel, MB", "connect, s", "close, s", "idle CPU of server",
        "of bench", "of machine", "ping p99 empty, ms", "beside, ms", "ratio",
    ]  # fmt: skip
    text = f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n"
    for row in rows:
        cells = [f"{row.connections:,}", row.threads]
        cells += [f"{value:,.1f}" for value in row.megabytes()]
        cells += [f"{row.number(name) / 1000:.1f}" for name in ("connect_ms", "close_ms")]
        cells += [f"{value:.2f}" for value in idle_cpu(row)]
        cells += [f"{row.ping(name):.1f}" for name in ("ping_empty_us", "ping_beside_us")]
        cells += [f"{row.ratio():.2f}"]
        text += f"| {' | '.join(map(str, cells))} |\n"
    return text


def idle_cpu(row):
    """Returns the processor time of the server, of bench and of the machine in 20 idle seconds, in ms per second."""
    return [
        row.number("server_idle_us") / 20_000,
        row.number("bench_idle_us") / 20_000,
        row.number("busy_idle_ms") / 20,
    ]


def draw(rows, file):
    plt.rcParams["svg.fonttype"] = "none"
    plt.rcParams["svg.hashsalt"] = "million"
    figure, ((memory, time), (ping, cpu)) = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
    numbers = [row.connections for row in rows]

    for index, label in enumerate(["server", "bench", "kernel"]):
        memory.plot(numbers, [row.megabytes()[index] for row in rows], "o-", label=label)
    memory.set(title="Memory, MB", yscale="log")
    for name, label in [("connect_ms", "connect all"), ("close_ms", "close all")]:
        time.plot(numbers, [row.number(name) / 1000 for row in rows], "o-", label=label)
    time.set(title="Time, s", yscale="log")
    ping.plot(numbers, [row.ratio() for row in rows], "o-", label="beside / empty")
    ping.set(title="p99 of a ping, relative to no idle connections", ylim=(0, None))
    for index, label in enumerate(["server", "bench", "machine"]):
        cpu.plot(numbers, [idle_cpu(row)[index] for row in rows], "o-", label=label)
    cpu.set(title="Processor time when idle, ms per s")
    for panel in (memory, time, ping, cpu):
        panel.set(xscale="log", xlabel="connections")
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(file, metadata={"Date": None})


main()

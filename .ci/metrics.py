"""Scrapes a server under load: the program, and promtool, are the arguments. Ends with 1 at the first check that fails."""

import http.client
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

PROGRAM, PROMTOOL = sys.argv[1:]
MESSAGES, SIZE, CONNECTIONS = 40_000, 300, 64
CHURNED = 2_000
PREFIX = "mio_echo_"


def parse(text):
    """Returns the values by name and labels."""
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: int(value) for name, value in lines}


def bench(address, *options):
    """Runs bench against a listener and returns the figures of its report."""
    command = [PROGRAM, "bench", address, "--warmup", "0", "--output", "-", *options]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    # 5 is the code of a suspect run.
    assert run.returncode in (0, 5), run.returncode
    return json.loads(run.stdout)["metrics"]


class Server:
    def __init__(self, file):
        listen = ["--listen", "127.0.0.1:0", "--listen", "len16@127.0.0.1:0"]
        options = ["--metrics", "127.0.0.1:0", "--metrics-file", file, "--stop-on-eof"]
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--quiet", *listen, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lines = [self.process.stdout.readline() for _ in range(3)]
        self.raw, self.len16 = (line.split()[2] for line in lines[:2])
        self.endpoint = re.match("metrics on http://(.*)/metrics", lines[2])[1]

    def get(self, path):
        connection = http.client.HTTPConnection(self.endpoint, timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()

    def text(self):
        status, text = self.get("/metrics")
        assert status == 200, status
        return text

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0


def check_with_promtool(text):
    run = subprocess.run([PROMTOOL, "check", "metrics"], input=text, text=True, capture_output=True)
    assert run.returncode == 0 and not run.stderr, run.stderr


def scrape_until(done, server, scrapes):
    """Scrapes until `done`. Counters must never become less."""
    earlier = {}
    while not done.is_set():
        values = parse(server.text())
        for name, value in values.items():
            is_counter = "_total" in name.split("{")[0]
            assert not is_counter or value >= earlier.get(name, 0), name
        earlier = values
        scrapes.append(values)


def text_without_connections(server):
    """Returns the metrics once all connections have closed. The last ones may not have when bench ends."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        text = server.text()
        if not any(value for name, value in parse(text).items() if "_connections_active{" in name):
            return text
    sys.exit("connections stay open")


def check_sums(server, values, first, second):
    def of(name, address, framing):
        return values[f'{PREFIX}{name}{{listener="{address}",framing="{framing}"}}']

    def closed(address, framing):
        name = f'{PREFIX}connections_closed_total{{listener="{address}",framing="{framing}",'
        return sum(value for key, value in values.items() if key.startswith(name))

    # With churn, bench opens some connections more than it needs in the end.
    for address, framing, connections, bench_figures in [
        (server.raw, "raw", CONNECTIONS, first),
        (server.len16, "len16", second["connect_us"]["count"], second),
    ]:
        figures = {
            "connections_accepted_total": connections,
            "connections_refused_total": 0,
            "connections_active": 0,
            "echoed_bytes_total": bench_figures["bytes"],
            "discarded_bytes_total": 0,
            "pending_bytes": 0,
            "accept_pauses_total": 0,
        }
        found = {name: of(name, address, framing) for name in figures}
        assert found == figures, (found, figures)
        assert closed(address, framing) == connections
    # Each message needs an event, and several events may come in one turn.
    assert values[PREFIX + "loop_events_total"] >= MESSAGES + CHURNED
    assert 0 < values[PREFIX + "loop_turns_total"]


def main():
    file = pathlib.Path(tempfile.mkdtemp()) / "echo.prom"
    server = Server(str(file))
    check_with_promtool(server.text())
    done, scrapes, failures = threading.Event(), [], []

    def scrape():
        try:
            scrape_until(done, server, scrapes)
        except AssertionError as error:
            failures.append(error)

    scraper = threading.Thread(target=scrape)
    scraper.start()
    shared = ["--size", str(SIZE)]
    first = bench(server.raw, "-c", str(CONNECTIONS), "-n", str(MESSAGES), *shared)
    second = bench(server.len16, "--framing", "len16", "--churn", "-c", "8", "-n", str(CHURNED), *shared)
    done.set()
    scraper.join()
    assert not failures, failures
    for figures, messages in [(first, MESSAGES), (second, CHURNED)]:
        assert (figures["messages"], figures["bytes"]) == (messages, messages * SIZE), figures
    text = text_without_connections(server)
    check_with_promtool(text)
    check_sums(server, parse(text), first, second)
    assert server.get("/healthz") == (200, "ok\n")
    status, page = server.get("/")
    assert status == 200 and server.raw in page and "<script" not in page
    server.stop()
    text = file.read_text()
    check_with_promtool(text)
    check_sums(server, parse(text), first, second)
    assert list(file.parent.iterdir()) == [file], "nothing else is left"
    file.unlink()
    file.parent.rmdir()
    print(f"promtool accepts the metrics; {len(scrapes)} scrapes under load; the sums are those of bench")


main()

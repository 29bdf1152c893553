#!/usr/bin/env python3
"""Echoes on a port of 127.0.0.1, and spends processor time on each message of 64 bytes.

    tests/calibrate/spinning_server.py PORT NANOSECONDS

One thread serves all connections, one message after another, so messages that arrive at random make it a queue M/D/1. PORT 0
is a free port. Prints `listening on 127.0.0.1:PORT`, and runs until it is killed.
"""

import selectors
import socket
import sys
import time

MESSAGE = 64


def main():
    port, spin = map(int, sys.argv[1:])
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
            else:
                echo(key.fileobj, spin, selector)


def echo(connection, spin, selector):
    try:
        data = connection.recv(65536)
    except ConnectionError:
        data = b""
    if data:
        end = time.perf_counter_ns() + spin * len(data) // MESSAGE
        while time.perf_counter_ns() < end:
            pass
        connection.sendall(data)
    else:
        selector.unregister(connection)
        connection.close()


if __name__ == "__main__":
    main()

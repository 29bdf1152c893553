#!/usr/bin/env bash
# Measures how small an echo server is: the size of its file, its memory after the start and per idle connection, and the
# time until it listens. Every server is measured from outside, in the same way. Linux only. Other servers than mio-echo
# are measured if they are installed (Debian: socat, ncat, inetutils-inetd, golang-go). inetd echoes on port 7 only,
# which needs root.
#
#   benches/footprint.sh [CONNECTIONS]      300 connections by default
set -euo pipefail
cd "$(dirname "$0")/.."
CONNECTIONS=${1:-300}
STARTS=11
ROUNDS=5
WORK=$(mktemp -d)
PIDS=()
trap 'kill "${PIDS[@]}" 2>/dev/null || true; rm -rf "$WORK"' EXIT
ulimit -n "$(ulimit -Hn)"

missing() { echo "SKIPPED: $1" >&2; }

build() { # name, file below the target folder, arguments of cargo
  local name=$1 target=target/footprint file=$2; shift 2
  cargo build --locked --quiet --target-dir "$target" "$@"
  cp "$target/$file/mio-echo" "$WORK/$name"
}

# Prints the time in microseconds.
now() { local t=$EPOCHREALTIME; echo "${t/[.,]/}"; }

# Opens a connection in this shell. Prints nothing if there is no listener.
connects() { { exec {connection}<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null; }

await_listening() { # port, pid
  until connects "$1"; do
    kill -0 "$2" 2>/dev/null || { echo "the server does not start" >&2; return 1; }
  done
  exec {connection}>&-
}

start() { # port, command: sets PID and TOOK
  local port=$1 began; shift
  began=$(now)
  "${@//PORT/$port}" </dev/null >/dev/null 2>&1 &
  PID=$!; PIDS+=("$PID")
  await_listening "$port" "$PID"
  TOOK=$(($(now) - began))
}

stop() { kill "$PID" 2>/dev/null || true; wait "$PID" 2>/dev/null || true; PIDS=(); }

tree() { # pid: prints the process and its descendants
  echo "$1"; local child
  for child in $(pgrep -P "$1" || true); do tree "$child"; done
}

# Prints the memory of the process and its children without pages of files, in kB. Shared memory counts once. Pages of
# files are left out, because they come and go with the cache of the system.
anonymous() { # pid
  local sum=0 pid kb
  for pid in $(tree "$1"); do
    kb=$(awk '/^Pss_Anon:/ { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null) && sum=$((sum + ${kb:-0}))
  done
  echo "$sum"
}

kernel() { awk '/^(Slab|KernelStack|PageTables):/ { sum += $2 } END { print sum }' /proc/meminfo; }

# Waits until the memory of the kernel no longer changes, because it frees the memory of the previous server late. Prints
# the memory in kB.
settled() {
  local last now change tries; now=$(kernel)
  for ((tries = 0; tries < 30; tries++)); do
    last=$now; sleep 0.3; now=$(kernel); change=$((now - last))
    [ "${change#-}" -ge 50 ] || break
  done
  echo "$now"
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

hold() { # port: opens the connections and keeps them open
  local i; HELD=()
  for ((i = 0; i < CONNECTIONS; i++)); do
    connects "$1" || { echo "connection $i failed" >&2; return 1; }
    HELD+=("$connection")
  done
}

release() { local fd; for fd in "${HELD[@]}"; do exec {fd}>&-; done; HELD=(); }

measure() { # name, file, port, command
  local name=$1 file=$2 port=$3; shift 3
  local times=() residents=() kernel=() i before own
  for ((i = 0; i < STARTS; i++)); do
    start "$port" "$@"; times+=("$TOOK")
    residents+=("$(awk '/^VmRSS/ { print $2 }' "/proc/$PID/status")")
    [ "$i" -lt $((STARTS - 1)) ] && stop
    [ "$port" = 7 ] || port=$((port + 1))
  done
  [ "$port" = 7 ] || port=$((port - 1))
  own=$(anonymous "$PID")
  for ((i = 0; i < ROUNDS; i++)); do
    before=$(settled); hold "$port"; kernel+=($(($(settled) - before)))
    [ "$i" = 0 ] && own=$(($(anonymous "$PID") - own))
    release
  done
  printf '| %-28s | %9d | %7d | %8d | %8d | %6.1f |\n' "$name" "$(stat -Lc %s "$file")" \
    "$(printf '%s\n' "${residents[@]}" | median)" \
    $((own * 1024 / CONNECTIONS)) $(($(printf '%s\n' "${kernel[@]}" | median) * 1024 / CONNECTIONS)) \
    "$(printf '%s\n' "${times[@]}" | median | awk '{ print $1 / 1000 }')"
  stop
}

serve() { measure "$1" "$WORK/$2" "$3" "$WORK/$2" serve --quiet --listen 127.0.0.1:PORT; }

go_echo() {
  cat >"$WORK/echo.go" <<'GO'
package main

import ("io"; "net"; "os")

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil { panic(err) }
	for {
		connection, err := listener.Accept()
		if err != nil { panic(err) }
		go func() { io.Copy(connection, connection); connection.Close() }()
	}
}
GO
  (cd "$WORK" && GO111MODULE=off GOCACHE="$WORK/cache" go build -ldflags '-s -w' -o go-echo echo.go)
}

HOST=$(rustc -vV | awk '/^host:/ { print $2 }')
export RUSTFLAGS=
build release release --release
build release-server release --release --no-default-features --features serve
build dist dist --profile dist
build dist-server dist --profile dist --no-default-features --features serve
export RUSTFLAGS='-C target-feature=+crt-static'
build static "$HOST/dist" --profile dist --target "$HOST"
build static-server "$HOST/dist" --profile dist --target "$HOST" --no-default-features --features serve

echo "$CONNECTIONS idle connections; medians of $STARTS starts, and of $ROUNDS rounds for the memory of the kernel"
echo '| server                       | file, B   | at start, kB | B a connection | kernel, both ends | ms to listen |'
echo '|---|---|---|---|---|---|'
serve 'mio-echo, release' release 21000
serve 'mio-echo, release, server' release-server 21100
serve 'mio-echo, dist' dist 21200
serve 'mio-echo, dist, server' dist-server 21300
serve 'mio-echo, static' static 21400
serve 'mio-echo, static, server' static-server 21500
if command -v socat >/dev/null; then
  measure 'socat, a process each' "$(command -v socat)" 22000 socat TCP-LISTEN:PORT,fork,reuseaddr,backlog=4096 EXEC:cat
else missing 'socat is not installed'; fi
if command -v ncat >/dev/null; then
  measure 'ncat -k -e cat' "$(command -v ncat)" 22100 ncat -l -k -m 10000 -e /bin/cat 127.0.0.1 PORT
else missing 'ncat is not installed'; fi
if ! command -v inetutils-inetd >/dev/null; then missing 'inetutils-inetd is not installed'
elif [ "$(id -u)" != 0 ]; then missing 'inetutils-inetd: port 7 needs root'
else
  echo 'echo stream tcp nowait root internal' >"$WORK/inetd.conf"
  measure 'inetutils-inetd, echo' "$(command -v inetutils-inetd)" 7 inetutils-inetd -d -R 100000 "$WORK/inetd.conf"
fi
if command -v go >/dev/null; then
  go_echo; measure 'Go, a goroutine each' "$WORK/go-echo" 22200 "$WORK/go-echo" PORT
else missing 'go is not installed'; fi

#!/usr/bin/env bash
# Runs the same measurements on every readiness back end of this system and prints a table for README. Needs only bash,
# cargo and the tools that git brings; on Windows run it in Git Bash. On Linux it measures epoll and poll(2).
#
#   benches/platforms.sh [ROUNDS]      5 rounds by default, alternating; the table has the medians
set -euo pipefail
cd "$(dirname "$0")/.."
ROUNDS=${1:-5}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# The measurements: a name, and the arguments of bench.
SCENARIOS=(
  'one connection, 64 B|-c 1'
  '64 connections, 64 B|-c 64'
  '64 connections, 16 KiB|-c 64 -s 16k'
  '8 connections, 1 MiB|-c 8 -s 1MiB'
  '64 connections, 10,000/s|-c 64 -r 10k'
)

build() { # target folder
  cargo build --release --locked --quiet --target-dir "$1"
}

run() { # program, scenario, file for the report
  "$1" bench -d 3s -w 1s -J ${2#*|} >"$3" 2>"$WORK/errors" || { cat "$WORK/errors" >&2; return 1; }
}

# Prints the number at a key of a report. A report has one key per line. The keys of a row follow the name of the row.
number() { # report, key, row (optional)
  awk -v key="\"$2\":" -v row="${3:+\"$3\":}" '
    row == "" || index($0, row) { inside = 1 }
    inside && index($0, key) { sub(/.*: /, ""); sub(/,.*/, ""); print; exit }' "$1"
}

text() { sed -n "s/.*\"$2\": \"\\(.*\\)\".*/\\1/p" "$1" | head -1; }

# Prints the median, the lowest and the highest number. A report has null for a number that does not exist.
middle() {
  sort -n | awk '
    /null/ { nulls++ }
    { v[NR] = $1 }
    END { if (nulls) print "- - -"; else printf "%.0f %.0f %.0f", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

programs=("target/release/mio-echo")
build target
if [ "$(uname -s)" = Linux ]; then
  RUSTFLAGS='--cfg mio_unsupported_force_poll_poll' build target/poll
  programs+=("target/poll/release/mio-echo")
fi

for ((round = 0; round < ROUNDS; round++)); do
  for i in "${!SCENARIOS[@]}"; do
    for p in "${!programs[@]}"; do
      run "${programs[$p]}" "${SCENARIOS[$i]}" "$WORK/$i.$p.$round"
    done
  done
done

echo "$(text "$WORK/0.0.0" system) $(text "$WORK/0.0.0" kernel), $(text "$WORK/0.0.0" architecture), mio-echo $(text "$WORK/0.0.0" version), median of $ROUNDS rounds"
echo '| load | back end | messages/s | lowest to highest | p50, us | p99, us |'
echo '|---|---|---|---|---|---|'
for i in "${!SCENARIOS[@]}"; do
  for p in "${!programs[@]}"; do
    rounds() { for report in "$WORK/$i.$p".*; do number "$report" "$@"; done | middle; }
    read -r median lowest highest <<<"$(rounds messages_per_sec)"
    read -r p50 _ <<<"$(rounds p50 response_us)"
    read -r p99 _ <<<"$(rounds p99 response_us)"
    suspect=$({ grep -l '"valid": false' "$WORK/$i.$p".* || true; } | wc -l)
    [ "$suspect" -eq 0 ] || echo "${SCENARIOS[$i]%%|*}: $suspect of $ROUNDS rounds are SUSPECT" >&2
    echo "| ${SCENARIOS[$i]%%|*} | $(text "$WORK/$i.$p.0" back_end) | $median | $lowest to $highest | $p50 | $p99 |"
  done
done

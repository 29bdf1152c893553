"""Checks the sums of the reports of shards with a reader of histograms that is not ours, and the memory that a sum needs.

Usage: launchers.py PROGRAM FOLDER LAUNCHER.. For each launcher, the folder has LAUNCHER-0.json to LAUNCHER-3.json of the
shards, and their sum LAUNCHER.json.
"""

import json
import os
import sys
from datetime import datetime
from pathlib import Path

from hdrh.histogram import HdrHistogram

SHARDS = 4

# How each launcher is named in the report.
NAMES = {"srun": "slurm_task", "array": "slurm_array", "openmpi": "open_mpi", "mpich": "pmi", "parallel": "parallel"}

# The shards were told the same time.
MOST_APART_S = 0.010

RATE_TOLERANCE = 0.01

# The memory that a merge of many reports may need beyond that of a few. A report in memory is larger.
MANY_SHARDS = 256
MOST_MORE_MEMORY_KB = 2048


def main():
    program, folder, launchers = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    faults = [f"{launcher}: {fault}" for launcher in launchers for fault in check(folder, launcher)]
    faults += check_memory(program, folder, launchers[0])
    # On a busy machine, the parts of the windows can be too different to be added.
    if not any(read(folder / f"{launcher}.json")["batches"] for launcher in launchers):
        faults.append("no sum has the parts of its window")
    print("\n".join(faults) or f"{len(launchers)} launchers: the sums of {SHARDS} shards each are right")
    sys.exit(1 if faults else 0)


def read(path):
    return json.loads(path.read_text())


def check(folder, launcher):
    """Yields what is wrong with the reports of a launcher."""
    shards = [read(folder / f"{launcher}-{index}.json") for index in range(SHARDS)]
    merged = read(folder / f"{launcher}.json")

    for index, shard in enumerate(shards):
        expected = {"index": index, "count": SHARDS, "launcher": NAMES[launcher]}
        if shard["config"]["shard"] != expected:
            yield f"the shard is {shard['config']['shard']}, expected {expected}"

    for name, encoded in merged["histograms"].items():
        total = HdrHistogram.decode(encoded)
        parts = HdrHistogram.decode(shards[0]["histograms"][name])
        for shard in shards[1:]:
            parts.add(HdrHistogram.decode(shard["histograms"][name]))
        if buckets(total) != buckets(parts):
            yield f"the histogram of {name} is not the sum of those of the shards"

    began = [datetime.fromisoformat(shard["began"].replace("Z", "+00:00")) for shard in shards]
    apart = (max(began) - min(began)).total_seconds()
    if apart > MOST_APART_S:
        yield f"the windows began {apart * 1e3:.1f} ms apart"

    rate, asked = merged["metrics"]["messages_per_sec"], merged["config"]["rate_per_s"]
    if abs(rate / asked - 1) > RATE_TOLERANCE:
        yield f"{rate:.1f} messages/s, asked for {asked:.1f}"

    if merged["merged_from"] != SHARDS:
        yield f"merged from {merged['merged_from']} reports"


def check_memory(program, folder, launcher):
    """Yields a fault if a merge needs more memory for more reports."""
    report = read(folder / f"{launcher}-0.json")
    report["config"].update(connections=MANY_SHARDS)
    peaks = []
    for count in [SHARDS, MANY_SHARDS]:
        names = [str(folder / f"many-{index}.json") for index in range(count)]
        for index, name in enumerate(names):
            report["config"]["shard"].update(index=index, count=count)
            Path(name).write_text(json.dumps(report))
        peaks.append(peak_kb([program, "bench", "merge", *names]))
    few, many = peaks
    print(f"a merge of {SHARDS} reports needs {few} kB, one of {MANY_SHARDS} needs {many} kB")
    if many > few + MOST_MORE_MEMORY_KB:
        yield f"the memory of a merge grows with the number of reports: by {many - few} kB"


def peak_kb(command):
    """Returns the peak of the resident memory of a command that must succeed."""
    to_nothing = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    child = os.posix_spawn(command[0], command, os.environ, file_actions=to_nothing)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{command[:3]} ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss


def buckets(histogram):
    """Returns the count of each bucket that has one."""
    return [(item.value_iterated_to, item.count_added_in_this_iter_step) for item in histogram.get_recorded_iterator()]


main()

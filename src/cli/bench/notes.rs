//! The end of the help: what the terms of a report mean, and the exit codes.

/// The end of the help of `bench`.
pub const NOTES: &str = "\
Times of the report, in microseconds unless a unit is given:
  response: from the intended time of the message until the last byte of its reply: wait + send lag + service. The \
schedule of an open loop sets the intended time. In a closed loop it is when the connection has room for the message.
  wait: from the intended time until the message can be sent: the connection is up, its greeting has arrived, it has \
fewer than --pipeline unanswered messages, and its socket accepts bytes.
  send lag: from then until the first byte of the message is sent. The generator causes it.
  service: from the first byte sent until the last byte of the reply.
  connect: from the start of a connection attempt until the connection is up.
  generator delay (turn in JSON): from the end of the generator's wait for events until it reads the connection. \
Included in service, but not caused by the server.
  p50, p90, p99, p99.9, p99.99: this percentage of the messages took no longer.
  -: the number does not exist, for example a percentile with fewer than ten samples above it.
  >: a lower bound. Messages without a reply count as slower than all others, with the time they have waited so far: a \
percentile among them is a lower bound, and one of them makes max and mean lower bounds.

Counts and shares of the report:
  errors: messages that failed, by name. With --churn, a failed connection attempt is a failed message. \
lost: sent on a connection that was given up because another message timed out or had a wrong reply. The errors of \
--slo are the share of the intended messages that are errors, corrupted, unanswered or unsent.
  corrupted: replies with a wrong byte.
  unanswered: messages that were sent and had no reply at the end.
  unsent: messages that were due and could not be sent before the end.
  reconnects: connections that were lost and opened again.
  connections: how many of the requested connections were up, on average. In parentheses, by name: connections that \
failed or were closed while no message was due, and connection attempts that failed.
  busy: share of the time in which the generator worked. Above 90 % the generator may be what is measured.
  spinning: share of the time in which the generator looked for events without sleeping, because a message was due soon.
  CPU: processor time of the generator per message, without spinning.
  machine: others used: processor time of this machine less that of the generator, the server and interrupts; 1 is one \
core. stolen: share of the processor time that the hypervisor gave to others. throttled: share of the time in which cgroup \
limits kept threads from running. waits for a CPU: time in which threads were ready to run and did not run, added over \
the threads.
  B per connection: resident memory that the server gained when all connections were up, divided by their number.
  Messages/sec: replies per second.
  Transfer/sec: received bytes of replies per second; MB is 10^6 bytes.
  limited by: what limits a closed loop: generator (over 90 % busy), else server (a thread over 90 % of a core, or, \
if its CPU time is unknown, when replies queue up), else neither (the network, or the number of connections).
  achieved: the measured rate of an open loop, as a share of --rate.
  VALID: no check has found a reason to doubt the figures. They may still describe the generator: see limited by.
  SUSPECT: the figures may not mean what they seem to; the reasons follow.

Sweep (--sweep): one line for each value, with the response times. The last words are the verdict, the kinds of its reasons and \
the objectives that are not met; JSON has the whole report of each value. The exit code is that of the worst \
step, in this order: 4, 3, a signal, 1, 5.

Latency under load (--beside): rows idle and loaded: the response times alone and beside the bulk connections. added: loaded \
less idle, each a difference of two percentiles. bulk: the connections keep over 4 MiB of messages unanswered, up to 1024 \
messages each, so that the path is always full; they begin before the warm-up and go on until the last reply. MB/s each way: \
bytes of replies per second; as many are sent. In JSON, the CPU time of the generator is null, because one \
process makes both loads.

Search (--find-max): the rate is doubled from the low end until it misses --slo, then the bracket is halved until its ends \
differ by 2 %, both ends are measured again (best of three), and the found rate is confirmed over the full --duration. While \
the confirmation misses --slo, the rate is lowered by 2, 4 and 8 %. Runs before the confirmation measure for a quarter of \
--duration, longer at low rates, until 100 samples lie above the percentile. Each line ends with one of these results:
  met: all objectives are met, and the rate was achieved. A busy machine and a late generator only lengthen response times, \
so they do not matter then: met despite names them.
  not met: the objectives that were missed follow, and overload or below rate: the server does not keep up.
  generator at its limit: an objective is missed, and the generator was late or busy. Two such runs at a rate end the \
search with `at least`: the server may be able to do more.
  machine disturbed: an objective is missed, and something else disturbed the machine. The run is repeated three times at most.
  The exit code is 3 if no rate is confirmed.

Exit code:
  0 finished, 1 could not run or nothing answered, 2 command line refused, 3 --slo not met, 4 wrong bytes, 5 suspect \
with --strict, 129 SIGHUP, 130 SIGINT, 143 SIGTERM (the results so far are printed).";

/// The end of the help of `bench merge`.
pub const MERGE_NOTES: &str = "\
A limit of --slo is a duration with ns, us, ms, s, m or h, in seconds without a unit; the limit of errors is a share \
in %. `mio-echo bench --help` explains the terms of a report.

Exit code:
  0 finished, 1 could not merge or nothing answered, 2 command line refused, 3 --slo not met, 4 wrong bytes, 5 suspect \
with --strict, 129 SIGHUP, 130 SIGINT, 143 SIGTERM (a shard was ended by it).";

/// How `bench compare` is called.
pub const COMPARE_USAGE: &str = "\
mio-echo bench compare [OPTIONS] A B
       mio-echo bench compare [OPTIONS] --a OPTIONS --b OPTIONS [SERVER]
       mio-echo bench compare [OPTIONS] --base FILE.. --new FILE..";

/// The end of the help of `bench compare`.
pub const COMPARE_NOTES: &str = "\
What is compared:
  HOST:PORT is a server that runs. A command is split into words as by a shell, but no shell runs it: quotes and \
backslashes have their meaning, variables and pipes have none. Each {port} in it is replaced by a free port of 127.0.0.1 (of \
::1 with -6). The command is started for each run and has 10 s to accept a connection. After the run, its process group is \
ended by SIGTERM, after 5 s by SIGKILL. Its CPU time is that of the process and its descendants on Linux, and unknown on \
other systems.
  Windows has no such signals: the process of the command is ended at once, and its descendants run on. A path with \
backslashes needs single quotes inside the command.
  A round is a run of A, a run of B and another run of A, in an order that changes from round to round. One run is one \
sample.

Terms of the report:
  B/A: the ratio of B to the two runs of A, over all rounds, with its interval of 95 % (Student's t on the \
logarithms).
  A/A: the second run of A in a round in relation to the first one. It should be near 1.
  messages/s, p50, p99: as in `mio-echo bench --help`. Only the figure of --metric decides.
  messages per server CPU second: replies, divided by the CPU time of the server.
  smallest difference found with 90 %: nine of ten such comparisons would find it. More rounds, or longer ones, find \
smaller differences.
  no difference found: the interval contains 1.
  no verdict: A differs from itself by at least as much as from B, a run failed, or there are too few runs or samples.
  repeated: a round starts again if others used the CPUs, the hypervisor stole time, limits throttled threads, or the \
generator stalled, at most half as many rounds as asked for. What the server does (overload, not stationary) is kept.

Exit code, the first that applies:
  4 wrong bytes, 129 SIGHUP, 130 SIGINT, 143 SIGTERM (the figures so far are printed, without a verdict), 1 a run failed, \
6 B is slower than --fail-if-slower allows, 7 that is undecided, 5 a run is \
suspect with --strict, 2 command line refused, 0 otherwise.";

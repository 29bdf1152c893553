//! The end of the help of `serve`.

/// The end of the help.
pub const NOTES: &str = "  \
BOOL is true, 1, false or 0; the option without a value means true.

Environment:
  Every option --a-b is also a variable MIO_ECHO_A_B. The command line wins. An empty variable is unset. Blanks separate \
the items of a list. MIO_ECHO_VERBOSE is 0, 1 or 2. Another variable MIO_ECHO_* is warned about, unless it is one that \
Kubernetes sets for a service.

Exit code:
  0 stopped, 1 could not start or run, 2 command line refused, 129, 130 or 143 ended by a second SIGHUP, \
SIGINT or SIGTERM.

Signals:
  SIGINT, SIGTERM and SIGHUP stop the server. SIGUSR1 logs the counters. SIGHUP has no effect if it was ignored at the \
start, as under nohup. Systems other than Linux do not tell that: there SIGHUP keeps the action that it had. A \
server in the background that writes to a terminal under `stty tostop` is suspended by SIGTTOU; redirect its output.";

/// The part of the help about systemd.
#[cfg(all(feature = "systemd", target_os = "linux"))]
pub const SERVICE_MANAGER: &str = "

Service manager:
  Listening TCP sockets that systemd passes (LISTEN_FDS) replace the default of --listen; with --listen both serve. A \
socket whose name is a framing (FileDescriptorName=len8) has that framing, any other has --framing. After the request \
to stop, clients that wait at such a socket are left to the next server, and --stop-delay is for open connections only. \
--backlog does not change such a socket. The server tells systemd (NOTIFY_SOCKET) that it listens, how many connections \
are active, that it stops, and, for WatchdogSec=, that its loop is alive.";

/// No part of the help about systemd: this build does not use it.
#[cfg(not(all(feature = "systemd", target_os = "linux")))]
pub const SERVICE_MANAGER: &str = "";

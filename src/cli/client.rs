//! `mio-echo client`: its options as they are typed, and as the client uses them.

use std::time::Duration;

use clap::Args;
use mio_echo::client::{Config, Messages};
use mio_echo::conn::Framing;
use mio_echo::net::IpFamily;

use super::address::{parse_framing, parse_target};
use super::definition::{CONNECTIONS, MESSAGES, OUTPUT, TIMEOUTS, allow_hyphen_values};
use super::refusal::{escape_control, refusal};
use super::values::{count_in, nonzero, parse_duration, parse_size_or_zero};

/// A larger number is a typing error.
const MOST_CONNECTIONS: usize = 1_000_000;

/// More rounds would not end in a lifetime.
const MOST_ROUNDS: u64 = 1_000_000_000_000;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The end of the help.
pub const NOTES: &str = "\
Exit code:
  0 all echoes are right, 1 could not connect or run, or closed early or timed out, 2 command line refused, 4 a reply \
differed from its message.";

/// The resolved options of `client`.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The server, and how to connect to it.
    pub config: Config,
    /// The messages to send. Without messages, standard input is sent.
    pub messages: Option<Messages>,
    /// Print nothing on standard output.
    pub quiet: bool,
}

// Not a doc comment: it would become the first line of the help.
#[derive(Args, Debug)]
#[command(mut_args = allow_hyphen_values)]
pub struct ClientArgs {
    // Not a doc comment: rustdoc takes brackets for links.
    #[arg(
        value_name = "HOST:PORT", value_parser = parse_target,
        help = "Server to connect to, such as localhost:7007, [::1]:7007 or [fe80::1%eth0]:7007; all addresses of a name are \
                tried in turn"
    )]
    target: String,

    /// Send this message and compare its echo; may be repeated; {i} is the connection's number, from 1; default: send
    /// standard input
    #[arg(short, long = "message", value_name = "TEXT", help_heading = MESSAGES)]
    messages: Vec<String>,

    /// Rounds: how often each connection sends all messages
    #[arg(short = 'n', long = "count", value_name = "N", value_parser = count_in(1..=MOST_ROUNDS), default_value = "1",
          help_heading = MESSAGES)]
    rounds: u64,

    /// How bytes form messages: raw, nul (a NUL follows the last message), line, crlf, len8, len16 or len16le
    #[arg(long, value_name = "FRAMING", value_parser = parse_framing, default_value = "raw", help_heading = MESSAGES)]
    framing: Framing,

    /// Length of the server's greeting in bytes, which is discarded on each connection
    #[arg(long, value_name = "SIZE", value_parser = parse_size_or_zero, default_value = "0", help_heading = MESSAGES)]
    skip: usize,

    /// Connections at once; each sends all messages
    #[arg(short, long, value_name = "N", value_parser = count_in(1..=MOST_CONNECTIONS), default_value = "1",
          help_heading = CONNECTIONS)]
    connections: usize,

    /// Use IPv4 only; default: every address of the name
    #[arg(short = '4', long, conflicts_with = "ipv6", help_heading = CONNECTIONS)]
    ipv4: bool,

    /// Use IPv6 only; default: every address of the name
    #[arg(short = '6', long, help_heading = CONNECTIONS)]
    ipv6: bool,

    /// How long each address of the name may take to accept; 0 disables the limit
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "5s", help_heading = TIMEOUTS)]
    connect_timeout: Duration,

    /// How long a reply to a message may take; 0 disables the limit; default: 10s
    #[arg(long, value_name = "DUR", value_parser = parse_duration, help_heading = TIMEOUTS)]
    timeout: Option<Duration>,

    /// Print nothing on standard output; default: print what comes back, or a line for each reply
    #[arg(short, long, help_heading = OUTPUT)]
    quiet: bool,
}

impl TryFrom<ClientArgs> for ClientOptions {
    type Error = clap::Error;

    fn try_from(args: ClientArgs) -> Result<Self, clap::Error> {
        let config = Config {
            target: args.target.clone(),
            family: args.family(),
            connect_timeout: nonzero(args.connect_timeout),
            skip: args.skip,
        };
        let quiet = args.quiet;
        Ok(Self {
            config,
            messages: args.into_messages()?,
            quiet,
        })
    }
}

impl ClientArgs {
    fn family(&self) -> IpFamily {
        match (self.ipv4, self.ipv6) {
            (true, _) => IpFamily::V4,
            (false, true) => IpFamily::V6,
            (false, false) => IpFamily::Any,
        }
    }

    fn into_messages(self) -> Result<Option<Messages>, clap::Error> {
        if self.messages.is_empty() {
            return self.refuse_options_of_messages().map(|()| None);
        }
        let messages = Messages {
            texts: self.messages,
            connections: self.connections,
            rounds: self.rounds,
            framing: self.framing,
            timeout: nonzero(self.timeout.unwrap_or(DEFAULT_TIMEOUT)),
        };
        messages.check().map_err(|(text, why)| {
            let (text, framing) = (escape_control(text), messages.framing);
            refusal(format!(
                "invalid value '{text}' for '--message <TEXT>' with the framing {framing}: {why}"
            ))
        })?;
        Ok(Some(messages))
    }

    /// Standard input is one stream over one connection, without a time limit.
    fn refuse_options_of_messages(&self) -> Result<(), clap::Error> {
        let options = [
            ("--connections <N>", self.connections > 1),
            ("--count <N>", self.rounds > 1),
            ("--framing <FRAMING>", self.framing != Framing::Raw),
            ("--timeout <DUR>", self.timeout.is_some()),
        ];
        match options.iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((option, _)) => Err(refusal(format!(
                "'{option}' is for messages: expected --message <TEXT> with it"
            ))),
        }
    }
}

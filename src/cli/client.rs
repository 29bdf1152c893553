//! `mio-echo client`: the options as they are typed, and what they mean.

use std::time::Duration;

use clap::Args;
use mio_echo::client::{Config, Messages};
use mio_echo::conn::Framing;
use mio_echo::net::IpFamily;

use super::serve::{nonzero, refusal};
use super::{address, option_takes_hyphens, printable, values};

/// More connections than this is a slip of the finger.
const MOST_CONNECTIONS: usize = 1_000_000;

/// More rounds than this would not end in a lifetime.
const MOST_ROUNDS: u64 = 1_000_000_000_000;

/// How long a reply may take if nobody says.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What `client` was asked to do.
#[derive(Clone, Debug)]
pub struct Client {
    /// Whom to connect to.
    pub config: Config,
    /// What to say; none: standard input.
    pub messages: Option<Messages>,
    /// Nothing goes to standard output.
    pub quiet: bool,
}

// The options of `client`. Not a doc comment, which would be the first line of the help.
#[derive(Args, Debug)]
#[command(mut_args = option_takes_hyphens)]
pub struct ClientArgs {
    // Not a doc comment: rustdoc takes brackets for links.
    #[arg(
        value_name = "HOST:PORT",
        value_parser = address::target,
        help = "Whom to connect to, such as localhost:7007 or [::1]:7007; all addresses of a name are tried, in turn"
    )]
    target: String,

    /// Sent, and its echo compared; repeatable; {i} is the connection's number from 1; default: standard input is sent
    #[arg(short, long = "message", value_name = "TEXT")]
    messages: Vec<String>,

    /// Connections at once, each with all messages
    #[arg(short, long, value_name = "N", value_parser = values::count(1..=MOST_CONNECTIONS), default_value = "1")]
    connections: usize,

    /// Rounds of the messages
    #[arg(short = 'n', long = "count", value_name = "N", value_parser = values::count(1..=MOST_ROUNDS), default_value = "1")]
    rounds: u64,

    /// Prints nothing on standard output; default: what comes back, or a line a reply
    #[arg(short, long)]
    quiet: bool,

    /// How messages are cut: raw, nul (a NUL follows the last one), line, crlf, len8, len16, len16le
    #[arg(long, value_name = "NAME", value_parser = address::framing, default_value = "raw")]
    framing: Framing,

    /// Bytes of a greeting, which are discarded
    #[arg(long, value_name = "SIZE", value_parser = values::size_or_none, default_value = "0")]
    skip: usize,

    /// How long each address of the name may take to answer; 0 is for ever
    #[arg(long, value_name = "DUR", value_parser = values::duration, default_value = "5s")]
    connect_timeout: Duration,

    /// How long a reply may take, with messages only; 0 is for ever; default: 10s
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    timeout: Option<Duration>,

    /// Uses IPv4 alone; default: whatever the name has
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Uses IPv6 alone; default: whatever the name has
    #[arg(short = '6', long)]
    ipv6: bool,
}

impl TryFrom<ClientArgs> for Client {
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
            (_, true) => IpFamily::V6,
            _ => IpFamily::Any,
        }
    }

    fn into_messages(self) -> Result<Option<Messages>, clap::Error> {
        if self.messages.is_empty() {
            return self.refuse_without_messages().map(|()| None);
        }
        let messages = Messages {
            texts: self.messages,
            connections: self.connections,
            rounds: self.rounds,
            framing: self.framing,
            timeout: nonzero(self.timeout.unwrap_or(TIMEOUT)),
        };
        messages.check().map_err(|(text, why)| {
            let (text, framing) = (printable(text), messages.framing);
            refusal(format!(
                "invalid value '{text}' for '--message <TEXT>' with the framing {framing}: {why}"
            ))
        })?;
        Ok(Some(messages))
    }

    /// Standard input is one stream, over one connection, for as long as it takes.
    fn refuse_without_messages(&self) -> Result<(), clap::Error> {
        let option = match self {
            _ if self.connections > 1 => "--connections <N>",
            _ if self.rounds > 1 => "--count <N>",
            _ if self.framing != Framing::Raw => "--framing <NAME>",
            _ if self.timeout.is_some() => "--timeout <DUR>",
            _ => return Ok(()),
        };
        Err(refusal(format!(
            "'{option}' is for messages: expected --message <TEXT> with it"
        )))
    }
}

//! The Redis behind the Upstash test server.

use std::io;
use std::sync::Mutex;

use super::answer::Outcome;
use super::request::{Access, Call, Kind};
use crate::support::redis::RedisServer;
use crate::support::resp::{Command, Reply, RespConnection, command};

/// The Redis user behind the read-only token.
const READER: &str = "barmill-test-reader";
/// Commands that have no meaning over REST, as the docs list them.
const UNAVAILABLE: [&str; 16] = [
    "auth",
    "blmove",
    "blpop",
    "brpop",
    "bzpopmax",
    "bzpopmin",
    "discard",
    "exec",
    "hello",
    "monitor",
    "multi",
    "psubscribe",
    "select",
    "subscribe",
    "unwatch",
    "watch",
];

/// Connections to one Redis, by what their user may do.
#[derive(Debug)]
pub(super) struct Store {
    port: u16,
    password: Option<String>,
    idle: Mutex<Vec<(Access, RespConnection)>>,
}

impl Store {
    pub(super) fn new(redis: &RedisServer) -> Self {
        Self {
            port: redis.port(),
            password: redis.password().map(str::to_owned),
            idle: Mutex::default(),
        }
    }

    /// Runs the commands of a call for which `is_run` says so, and answers for those, in order.
    ///
    /// # Errors
    /// The text for the whole request: a discarded transaction, or Redis away.
    pub(super) async fn run(
        &self,
        call: &Call,
        is_run: impl Fn(usize, &Command) -> bool,
    ) -> Result<Vec<Outcome>, String> {
        let mut outcomes = Vec::new();
        let mut sent = Vec::new();
        for (index, command) in call
            .commands
            .iter()
            .enumerate()
            .filter(|(index, words)| is_run(*index, words))
        {
            match refused_here(command) {
                Some(error) if call.kind == Kind::Transaction => return Err(error),
                Some(error) => outcomes.push((index, Err(error))),
                None => sent.push((index, command.clone())),
            }
        }
        let (places, commands): (Vec<usize>, Vec<Command>) = sent.into_iter().unzip();
        let replies = self.apply(call, commands).await?;
        outcomes.extend(places.into_iter().zip(replies));
        outcomes.sort_by_key(|(index, _)| *index);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    async fn apply(&self, call: &Call, commands: Vec<Command>) -> Result<Vec<Outcome>, String> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let replies = match call.kind {
            Kind::Single | Kind::Pipeline => {
                self.send(call.access, &commands).await.map_err(away)?
            }
            Kind::Transaction => {
                let framed = [
                    vec![command(&["MULTI"])],
                    commands,
                    vec![command(&["EXEC"])],
                ]
                .concat();
                match self.send(call.access, &framed).await.map_err(away)?.pop() {
                    Some(Reply::Array(replies)) => replies,
                    Some(Reply::Error(error)) => return Err(error),
                    other => return Err(format!("ERR transaction answered {other:?}")),
                }
            }
        };
        Ok(replies.into_iter().map(outcome).collect())
    }

    async fn send(&self, access: Access, commands: &[Command]) -> io::Result<Vec<Reply>> {
        let mut connection = match self.take(access) {
            Some(connection) => connection,
            None => self.open(access).await?,
        };
        let replies = connection.call(commands).await?;
        self.idle
            .lock()
            .expect("no panic under the lock")
            .push((access, connection));
        Ok(replies)
    }

    fn take(&self, access: Access) -> Option<RespConnection> {
        let mut idle = self.idle.lock().expect("no panic under the lock");
        idle.retain(|(_, connection)| !connection.is_stale());
        let index = idle.iter().position(|(its, _)| *its == access)?;
        Some(idle.swap_remove(index).1)
    }

    async fn open(&self, access: Access) -> io::Result<RespConnection> {
        let mut connection = RespConnection::open(self.port).await?;
        let mut greeting = Vec::new();
        if let Some(password) = &self.password {
            greeting.push(command(&["AUTH", password]));
        }
        if access == Access::ReadOnly {
            let rights = [
                "ACL", "SETUSER", READER, "on", "nopass", "~*", "+@read", "+ping", "-scan", "-keys",
            ];
            greeting.push(command(&rights));
            greeting.push(command(&["AUTH", READER, "any"]));
        }
        for reply in connection.call(&greeting).await? {
            if let Reply::Error(error) = reply {
                return Err(io::Error::other(error));
            }
        }
        Ok(connection)
    }
}

/// How Upstash answers when its own store is away: the text is one that users report, and that it comes
/// with status 500 is our choice.
fn away(_: io::Error) -> String {
    "DB connection refused".to_owned()
}

fn refused_here(command: &Command) -> Option<String> {
    let Some(name) = command.first() else {
        return Some("ERR empty pipeline command".to_owned());
    };
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    // Upstash says more after the name; what, is not recorded.
    UNAVAILABLE
        .contains(&name.as_str())
        .then(|| format!("ERR Command is not available: '{name}'"))
}

fn outcome(reply: Reply) -> Outcome {
    match reply {
        // Upstash ends this sentence in other words than Redis.
        Reply::Error(text) if text.starts_with("NOPERM") => Err(text + " or its subcommand"),
        Reply::Error(text) => Err(text),
        Reply::Nil | Reply::Integer(_) | Reply::Text(_) | Reply::Array(_) => Ok(reply),
    }
}

//! RESP2 on a socket, as the test servers speak it to Redis and to clients.
//!
//! Written apart from the crate that barmill uses, so that the tests do not share its mistakes.
//! Wire format: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// One command with its arguments, as bytes.
pub(crate) type Command = Vec<Vec<u8>>;

/// One reply of Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Nil,
    Integer(i64),
    /// A status or a bulk string; REST does not tell them apart.
    Text(Vec<u8>),
    Error(String),
    Array(Vec<Reply>),
}

/// A connection to Redis, or of a client.
#[derive(Debug)]
pub(crate) struct RespConnection {
    stream: BufReader<TcpStream>,
}

/// Makes a command of texts.
pub(crate) fn command(words: &[&str]) -> Command {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// Bytes that the command takes on the wire.
pub(crate) fn encoded_len(command: &Command) -> usize {
    encode(command).len()
}

fn encode(command: &Command) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for word in command {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

impl Reply {
    /// The bytes on the wire; a status goes out as a bulk string.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Nil => b"$-1\r\n".to_vec(),
            Self::Integer(number) => format!(":{number}\r\n").into_bytes(),
            Self::Error(text) => format!("-{text}\r\n").into_bytes(),
            Self::Text(bytes) => [
                format!("${}\r\n", bytes.len()).as_bytes(),
                bytes.as_slice(),
                b"\r\n",
            ]
            .concat(),
            Self::Array(items) => {
                let head = format!("*{}\r\n", items.len()).into_bytes();
                items
                    .iter()
                    .map(Self::encode)
                    .fold(head, |bytes, item| [bytes, item].concat())
            }
        }
    }
}

impl RespConnection {
    /// Connects to a loopback port.
    pub(crate) async fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Takes over a connection that a client has opened.
    pub(crate) fn of_client(stream: TcpStream) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Reads the commands that have come together, at least one; `None` when the client has gone.
    pub(crate) async fn request(&mut self) -> Option<Vec<Command>> {
        let mut commands = Vec::new();
        while commands.is_empty() || !self.stream.buffer().is_empty() {
            let Ok(Reply::Array(words)) = self.read().await else {
                return None;
            };
            let words = words.into_iter().map(|word| {
                let Reply::Text(bytes) = word else {
                    panic!("{word:?} is no word of a command")
                };
                bytes
            });
            commands.push(words.collect());
        }
        Some(commands)
    }

    /// The socket, for what is no reply.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        self.stream.get_mut()
    }

    /// Whether Redis has closed the connection, or has sent something nobody asked for.
    pub(crate) fn is_stale(&self) -> bool {
        let mut byte = [0];
        !matches!(self.stream.get_ref().try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends the commands in one piece and reads one reply for each.
    pub(crate) async fn call(&mut self, commands: &[Command]) -> io::Result<Vec<Reply>> {
        let bytes: Vec<u8> = commands.iter().flat_map(encode).collect();
        self.stream.get_mut().write_all(&bytes).await?;
        let mut replies = Vec::with_capacity(commands.len());
        for _ in commands {
            replies.push(self.read().await?);
        }
        Ok(replies)
    }

    async fn read(&mut self) -> io::Result<Reply> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        let Some((kind, rest)) = line.strip_suffix(b"\r\n").and_then(<[u8]>::split_first) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        match kind {
            b'+' => Ok(Reply::Text(rest.to_vec())),
            b'-' => Ok(Reply::Error(String::from_utf8_lossy(rest).into_owned())),
            b':' => Ok(Reply::Integer(number(rest)?)),
            b'$' => self.read_bulk(number(rest)?).await,
            b'*' => self.read_array(number(rest)?).await,
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    async fn read_bulk(&mut self, len: i64) -> io::Result<Reply> {
        let Ok(len) = usize::try_from(len) else {
            return Ok(Reply::Nil);
        };
        let mut bytes = vec![0; len + 2];
        self.stream.read_exact(&mut bytes).await?;
        bytes.truncate(len);
        Ok(Reply::Text(bytes))
    }

    async fn read_array(&mut self, len: i64) -> io::Result<Reply> {
        let Ok(len) = usize::try_from(len) else {
            return Ok(Reply::Nil);
        };
        let mut items = Vec::with_capacity(len);
        for _ in 0..len {
            items.push(Box::pin(self.read()).await?);
        }
        Ok(Reply::Array(items))
    }
}

fn number(text: &[u8]) -> io::Result<i64> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

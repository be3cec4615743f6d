"""A wire between barmill and Redis that notes when what passed, and what was acked when."""
import multiprocessing, re, socket, threading, time


class Wire(multiprocessing.Process):
    """A process that carries bytes between its port and the server's, and keeps them with their times."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.upstream = port
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.ours, self.theirs = multiprocessing.Pipe()

    def run(self):
        self.links = []
        threading.Thread(target=self.accept, daemon=True).start()
        self.theirs.recv()
        self.theirs.send(self.links)

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.upstream))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            commands, replies = [], []
            self.links.append((commands, replies))
            threading.Thread(target=carry, args=(client, server, commands), daemon=True).start()
            threading.Thread(target=carry, args=(server, client, replies), daemon=True).start()

    def acks(self):
        """Every command that was answered: its words, the answer's first byte, and when the answer was passed on."""
        self.ours.send(None)
        for commands, replies in self.ours.recv():
            asked = list(values(commands))
            answers = list(values(replies))
            # What a server says unasked, and a connection that ended early, leave the counts apart.
            for (words, _), (answer, at) in zip(asked, answers):
                yield words, answer, at


def carry(source, target, log):
    try:
        while data := source.recv(1 << 20):
            target.sendall(data)
            log.append((time.monotonic_ns(), data))
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def values(log):
    """The values of a stream of RESP, each with the time at which its last byte had passed."""
    data = b"".join(chunk for _, chunk in log)
    ends, whole = [], 0
    for at, chunk in log:
        whole += len(chunk)
        ends.append((whole, at))
    place, chunk = 0, 0
    while place < len(data):
        value, place = parse(data, place)
        while ends[chunk][0] < place:
            chunk += 1
        yield value, ends[chunk][1]


def parse(data, place):
    """One value of RESP at a place, and the place behind it."""
    end = data.index(b"\r\n", place)
    kind, text, place = data[place:place + 1], data[place + 1:end], end + 2
    if kind in b"$=!":
        length = int(text)
        return (data[place:place + length], place + length + 2) if length >= 0 else (None, place)
    if kind in b"*~>%":
        items = []
        for _ in range(max(0, int(text)) * (2 if kind == b"%" else 1)):
            item, place = parse(data, place)
            items.append(item)
        return items, place
    return kind + text, place


def bars(acks, spec):
    """Every bar that was acked in a `symbol-day` hash: (symbol, day and time) and when."""
    key = re.compile(rb"bars:%s:([0-9-]+):(.+)" % spec.encode())
    for words, answer, at in acks:
        if not isinstance(words, list) or len(words) < 4 or words[0].upper() != b"HSET":
            continue
        found = key.fullmatch(words[1])
        if found and isinstance(answer, bytes) and answer.startswith(b":"):
            for field in words[2::2]:
                yield found[2].decode(), found[1].decode() + " " + field.decode(), at

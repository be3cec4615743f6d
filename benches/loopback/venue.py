"""A venue on loopback that costs next to nothing while it is measured: every frame is made before the first is sent.

It speaks as much of Massive, or of Binance, as barmill needs: the socket with its greeting and confirmations, and the
history of the same trades. Trades go round all symbols, each at the millisecond in which it is sent.
"""
import base64, hashlib, json, multiprocessing, socket, struct, threading, time, urllib.parse

MS = 1_000_000
# Trades of one frame of Massive's.
FRAME_LEN = 100
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def framed(text):
    """A text as a WebSocket frame of a server."""
    data = text.encode()
    if len(data) < 126:
        return struct.pack("!BB", 0x81, len(data)) + data
    if len(data) < 65536:
        return struct.pack("!BBH", 0x81, 126, len(data)) + data
    return struct.pack("!BBQ", 0x81, 127, len(data)) + data


class Plan:
    """Which trade happens when: trade `k` is of symbol `k % symbols`, in the millisecond `k * 1000 // rate`."""

    def __init__(self, venue, rate, symbols, seconds, start_ns):
        self.venue, self.rate, self.seconds, self.start_ns = venue, rate, seconds, start_ns
        self.names = ["S%04d" % number if venue == "massive" else "S%04dUSDT" % number for number in range(symbols)]
        self.count = rate * seconds

    def tick(self, k):
        return k * 1000 // self.rate

    def time_ns(self, k):
        return self.start_ns + self.tick(k) * MS

    def first_at(self, tick):
        """The first trade of this millisecond or a later one."""
        return -(-tick * self.rate // 1000)

    def price(self, k):
        return "%d.%02d" % (100 + k % 7, k % 89 + 10)

    def row(self, k):
        """The trade on the socket."""
        name, price, millis = self.names[k % len(self.names)], self.price(k), self.time_ns(k) // MS
        if self.venue == "massive":
            return '{"ev":"T","sym":"%s","x":4,"i":"%d","z":3,"p":%s,"s":100,"c":[0,12],"t":%d,"q":%d}' % (name, k + 1, price, millis, k + 1)
        number = k // len(self.names) + 1
        return '{"stream":"%s@aggTrade","data":{"e":"aggTrade","E":%d000,"s":"%s","a":%d,"p":"%s","q":"100","f":%d,"l":%d,"T":%d000,"m":true,"M":true}}' % (
            name.lower(), millis, name, number, price, number, number, millis)

    def ticks(self):
        """The frames of each millisecond, as bytes."""
        whole = []
        for tick in range(self.seconds * 1000):
            rows = [self.row(k) for k in range(self.first_at(tick), self.first_at(tick + 1))]
            if self.venue == "massive":
                rows = ["[%s]" % ",".join(rows[at:at + FRAME_LEN]) for at in range(0, len(rows), FRAME_LEN)]
            whole.append(b"".join(map(framed, rows)))
        return whole

    def of_symbol(self, name, until_ns):
        """The symbol's trades that have happened."""
        happened = self.first_at(max(0, min((until_ns - self.start_ns) // MS + 1, self.seconds * 1000)))
        return range(self.names.index(name), happened, len(self.names))

    def history(self, path, query):
        """The answer to a question about the history, with what has happened by now."""
        if self.venue == "massive":
            low, high = int(query["timestamp.gte"]), min(int(query["timestamp.lt"]) - 1, time.time_ns())
            numbers = [k for k in self.of_symbol(path.rsplit("/", 1)[1], high) if low <= self.time_ns(k)]
            rows = [{"conditions": [0, 12], "exchange": 4, "id": str(k + 1), "participant_timestamp": self.time_ns(k), "price": float(self.price(k)),
                     "sequence_number": k + 1, "sip_timestamp": self.time_ns(k), "size": 100, "tape": 3} for k in numbers]
            return {"status": "OK", "request_id": "r", "results": rows}
        numbers = self.of_symbol(query["symbol"], time.time_ns())
        symbols, low = len(self.names), int(query.get("startTime", 0)) * 1000
        first = int(query.get("fromId", 1))
        rows = [{"a": k // symbols + 1, "p": self.price(k), "q": "100", "f": k // symbols + 1, "l": k // symbols + 1, "T": self.time_ns(k) // 1000,
                 "m": True, "M": True} for k in numbers if first <= k // symbols + 1 and low <= self.time_ns(k) // 1000]
        return rows[:int(query.get("limit", 500))]


class Venue(multiprocessing.Process):
    """A process that sends everything of the plan at its time, once somebody has subscribed to every symbol."""

    def __init__(self, venue, rate, symbols, seconds):
        super().__init__(daemon=True)
        self.words = (venue, rate, symbols, seconds)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.ours, self.theirs = multiprocessing.Pipe()

    def run(self):
        venue, rate, symbols, seconds = self.words
        # Trades are stamped before they are sent, so that the start lies behind the time it takes to make them.
        begin = time.time()
        Plan(venue, rate, symbols, 1, 0).ticks()
        start_s = int(time.time() + 6 + 2 * seconds * (time.time() - begin))
        self.plan = Plan(venue, rate, symbols, seconds, start_s * 1_000_000_000)
        self.frames = self.plan.ticks()
        if self.plan.start_ns < time.time_ns() + 3_000_000_000:
            return self.theirs.send("the trades took too long to make; try fewer")
        self.theirs.send(self.plan.start_ns)
        while True:
            stream, _ = self.listener.accept()
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(stream,), daemon=True).start()

    def serve(self, stream):
        reader = stream.makefile("rb")
        try:
            while line := reader.readline():
                url = urllib.parse.urlsplit(line.split()[1].decode())
                headers = {}
                while (line := reader.readline().strip()):
                    name, _, value = line.partition(b":")
                    headers[name.lower()] = value.strip()
                if b"sec-websocket-key" in headers:
                    return self.converse(stream, reader, headers[b"sec-websocket-key"])
                body = json.dumps(self.plan.history(url.path, dict(urllib.parse.parse_qsl(url.query)))).encode()
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        except OSError:
            pass

    def converse(self, stream, reader, key):
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        stream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n" % accept)
        say = lambda value: stream.sendall(framed(json.dumps(value)))
        wanted = 0
        if self.plan.venue == "massive":
            say([{"ev": "status", "status": "connected", "message": "Connected Successfully"}])
        while wanted < len(self.plan.names):
            value = json.loads(heard(reader))
            if value.get("action") == "auth":
                say([{"ev": "status", "status": "auth_success", "message": "authenticated"}])
            elif "action" in value:
                wanted += value["params"].count(",") + 1
                say([{"ev": "status", "status": "success", "message": "subscribed to: " + value["params"]}])
            else:
                wanted += len(value["params"])
                say({"result": None, "id": value["id"]})
        self.play(stream)

    def play(self, stream):
        """Sends every millisecond at its time; answers when each was given to the socket, on the monotonic clock."""
        origin = self.plan.start_ns - time.time_ns() + time.monotonic_ns()
        sent, tick = [0] * len(self.frames), 0
        while tick < len(self.frames):
            now = time.monotonic_ns()
            due = min(max(0, (now - origin) // MS + 1), len(self.frames))
            if due == tick:
                time.sleep(max(0, origin + tick * MS - now) / 1e9)
                continue
            # A socket that is full blocks here; it is not this side that gives up.
            sent[tick:due] = [now] * (due - tick)
            stream.sendall(b"".join(self.frames[tick:due]))
            tick = due
        self.theirs.send((origin, sent, time.monotonic_ns()))
        while stream.recv(4096):
            pass


def heard(reader):
    """The next text of a client, unmasked; pings are not answered."""
    while True:
        kind, length = reader.read(2)
        length &= 0x7F
        if length == 126:
            length, = struct.unpack("!H", reader.read(2))
        elif length == 127:
            length, = struct.unpack("!Q", reader.read(8))
        mask, data = reader.read(4), reader.read(length)
        if kind & 0x0F == 1:
            return bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))

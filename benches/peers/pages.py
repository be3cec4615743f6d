#!/usr/bin/env python3
"""A venue on loopback: pages.py FOLDER serves its pages, each with the address of the next one, and prints its URL."""
import glob, http.server, re, sys, urllib.parse


class Pages(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Page)
        self.url = "http://127.0.0.1:%d" % self.server_address[1]
        self.bodies = []
        for number, path in enumerate(sorted(glob.glob(folder + "/*.json")), 1):
            with open(path, "rb") as file:
                body = file.read()
            link = b'"next_url":"%s/v3/trades/AAPL?cursor=%d"' % (self.url.encode(), number)
            self.bodies.append(re.sub(rb'"next_url":"[^"]*"', link, body))
        # A full page without a cursor is asked for again from its last trade on.
        last = self.bodies[-1]
        row = last[last.rindex(b'{"', 0, last.rindex(b"]")):last.rindex(b"]")]
        self.tail = b'{"results":[%s],"status":"OK","count":1}' % row
        self.first = int(re.search(rb'"sip_timestamp":(\d+)', self.bodies[0]).group(1))


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        if "cursor" in asked:
            body = self.server.bodies[int(asked["cursor"][0])]
        else:
            begins = int(asked["timestamp.gte"][0]) <= self.server.first
            body = self.server.bodies[0] if begins else self.server.tail
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


if __name__ == "__main__":
    server = Pages(sys.argv[1])
    print(server.url, flush=True)
    server.serve_forever()

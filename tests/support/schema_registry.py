"""A Schema Registry that does as it is told: what GET /schemas/ids/ID answers follows from ID alone, good and bad.

Prints its port and serves until it is killed. GET /count/ID tells how often an id was asked for. Written after the API of the Confluent Schema
Registry: 200 {"schema": TEXT, "schemaType"?: ..., "references"?: [...]}, 404 {"error_code": 40403, "message": ...}.
"""

import base64
import collections
import http.server
import json
import sys
import threading
import time

SCHEMA = json.dumps({"type": "record", "name": "Auth", "fields": [
    {"name": "id", "type": "string"},
    {"name": "transmitted_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "card", "type": {"type": "record", "name": "Card", "fields": [{"name": "number", "type": "string"}]}},
]})
PAGE = b"<html><body>It works!</body></html>"
asked = collections.Counter()
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body, headers=(), length=None):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.strip("/").split("/")
        if path[0] == "count":
            with lock:
                return self.answer(200, str(asked[int(path[1])]).encode())
        if path[0] == "deep":  # the registry behind a path of its own
            path = path[1:]
        if path[:2] != ["schemas", "ids"] or len(path) != 3 or not path[2].isdigit():
            return self.answer(404, PAGE)
        number = int(path[2])
        with lock:
            asked[number] += 1
            times = asked[number]
        self.schema(number, times)

    def schema(self, number, times):
        good = {"schema": SCHEMA}
        if number < 100:
            self.answer(200, good)
        elif number < 200:
            self.answer(404, {"error_code": 40403, "message": "Schema not found"})
        elif number == 200:  # a page from something in between
            self.answer(200, PAGE)
        elif number == 201:
            self.answer(200, {"id": 201})
        elif number == 202:  # cut off
            self.answer(200, json.dumps(good).encode()[:-9], length=len(json.dumps(good)))
            self.close_connection = True
        elif number == 203:
            self.answer(404, PAGE)
        elif number == 204:
            self.answer(404, {"error_code": 40401, "message": "Subject not found"})
        elif number == 205:
            self.answer(302, b"", headers=[("Location", "/schemas/ids/1")])
        elif number == 206:
            self.answer(200, b'{"schema": "' + b"x" * (5 << 20) + b'"}')
        elif number == 207:
            self.answer(200, {"schema": 12})
        elif number == 208:  # an error that says it is none
            self.answer(200, {"error_code": 40403, "message": "Schema not found"})
        elif number == 210:
            self.answer(200, {"schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF"})
        elif number == 211:
            self.answer(200, {"schema": SCHEMA, "references": [{"name": "a.B", "subject": "b", "version": 1}]})
        elif number == 212:
            self.answer(200, {"schema": "{\"type\":\"recor\"}", "schemaType": "AVRO"})
        elif number == 213:
            self.answer(200, {"schema": SCHEMA, "schemaType": "AVRO", "references": []})
        elif number == 300:  # slow
            time.sleep(0.4)
            self.answer(200, good)
        elif number < 400:  # never
            time.sleep(3600)
        elif number == 450:  # well again when it is asked twice
            self.answer(500 if times == 1 else 200, good)
        elif number == 460:
            want = "Basic " + base64.b64encode(b"reader:secret").decode()
            right = self.headers.get("Authorization") == want
            self.answer(200 if right else 401, good if right else {"error_code": 40101, "message": "Unauthorized"})
        else:
            self.answer(number, {"error_code": number, "message": "as it was told"})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Clients that go away in the middle are part of the test."""


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
sys.stdout.close()
server.serve_forever()

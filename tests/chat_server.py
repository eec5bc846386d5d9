"""An OpenAI-compatible server for tests: it answers what a function says, several requests at a time."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ChatServer:
    """A server on a free port.

    :param answer: request -> text, or (status, text) to refuse, or (status, text, finish reason).
    :param models: what GET /v1/models lists; None for a server without the route.
    """

    def __init__(self, answer, models=None):
        self.answer, self.models = answer, models
        self.requests, self.keys = [], []
        self.running = self.most = 0
        self.lock = threading.Lock()

    def reply(self, request, key):
        with self.lock:
            self.requests.append(request)
            self.keys.append(key)
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            answer = self.answer(request)
        finally:
            with self.lock:
                self.running -= 1
        status, text, finish = (*answer, "stop")[:3] if isinstance(answer, tuple) else (200, answer, "stop")
        if status != 200:
            return status, {"error": {"message": text}}
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        row = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        return 200, row

    @contextlib.contextmanager
    def running_at(self, port=0):
        """Serve, at any free port by default, and yield the address."""
        http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/v1"
        finally:
            http.shutdown()
            thread.join()
            http.server_close()


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if server.models is None:
                self.send(404, {"error": {"message": "no such page"}})
            else:
                self.send(200, {"object": "list", "data": server.models})

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send(*server.reply(request, self.headers["Authorization"]))

        def send(self, status, row):
            body = json.dumps(row).encode()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    return Handler


def question_of(request):
    """Return the prompt of a request."""
    return request["messages"][0]["content"]


def source_of(prompt):
    """Return the JSON object that a prompt of the package ends with."""
    line = prompt.rstrip().splitlines()
    last = next(row for row in reversed(line) if row.startswith(("{", "Request: ")))
    return json.loads(last.removeprefix("Request: "))

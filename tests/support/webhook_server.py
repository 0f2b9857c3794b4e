"""A webhook that keeps what is posted to it."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webhook:
    """Attributes: posts, as ``(path, message)``; statuses, answered in turn, then 200."""

    def __init__(self):
        self.posts = []
        self.statuses = []
        self.address = ""

    def texts(self):
        return [message["text"] for _, message in self.posts]


@contextlib.contextmanager
def listening():
    """Listen on a free port of this machine."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.posts.append((self.path, json.loads(body)))
            self.send_response(hook.statuses.pop(0) if hook.statuses else 200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.address = f"http://127.0.0.1:{server.server_port}/hook"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hook
        server.shutdown()

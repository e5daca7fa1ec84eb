"""A program that knows of nothing: Python's own HTTP server, which ignores upgrades and keeps its connections."""
import http.server
import json
import sys

seen = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        seen.append({"path": self.path, "for": self.headers.get_all("X-Forwarded-For", []),
                     "client": self.headers.get_all("Sidereal-Client", [])})
        body = (json.dumps(seen) if self.path == "/seen" else self.path).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()

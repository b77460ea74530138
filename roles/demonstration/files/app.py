# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration's two programs: a page that counts its visits, and a client that looks at it.

app.py web     Serves the page on port 8080, with Flask where it is installed, else with Python alone.
app.py watch   Fetches the page named by C(TARGET) every C(INTERVAL) seconds and says what it saw.
"""

import os
import signal
import socket
import sys
import time
import urllib.request

COUNTER = os.environ.get("COUNTER", "/data/visits")
TARGET = os.environ.get("TARGET", "http://web:8080/")
INTERVAL = float(os.environ.get("INTERVAL", "5"))


def visit():
    """Count one more visit; how many there were."""
    try:
        with open(COUNTER, encoding="ascii") as stream:
            number = int(stream.read())
    except (OSError, ValueError):
        number = 0
    with open(COUNTER + ".new", "w", encoding="ascii") as stream:
        stream.write("%d\n" % (number + 1))
    os.rename(COUNTER + ".new", COUNTER)
    return number + 1


def page(server):
    """The page's text."""
    return "Hello from %s, visit number %d, served by %s.\n" % (socket.gethostname(), visit(), server)


def web():
    """Serve until told to stop."""
    try:
        import flask
        from werkzeug.serving import make_server
    except ImportError:
        plain()
        return
    app = flask.Flask("demonstration")

    @app.route("/")
    def hello():
        return flask.Response(page("Flask on Python %d.%d" % sys.version_info[:2]), mimetype="text/plain")

    make_server("0.0.0.0", 8080, app).serve_forever()


def plain():
    """Serve the same page without Flask."""
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = page("Python %d.%d" % sys.version_info[:2]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    http.server.HTTPServer(("0.0.0.0", 8080), Handler).serve_forever()


def watch():
    """Fetch the page again and again."""
    while True:
        try:
            with urllib.request.urlopen(TARGET, timeout=5) as answer:
                print("%s answered %d: %s" % (TARGET, answer.status, answer.read().decode().strip()), flush=True)
        except OSError as error:
            print("%s: %s" % (TARGET, error), flush=True)
            time.sleep(0.5)
            continue
        time.sleep(INTERVAL)


if __name__ == "__main__":
    # The first process of a PID namespace gets no signal that it has no handler for (pid_namespaces(7)).
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    {"web": web, "watch": watch}[sys.argv[1]]()

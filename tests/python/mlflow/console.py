"""MLflow's own console in a browser, pointed at a server: its files come from the installed wheel, all else from the server."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import mimetypes
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
KEPT = ("Content-Type", "Accept", "Range")


def browser() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def files() -> Path | None:
    """The console's files, if the installed MLflow has them."""
    package = importlib.util.find_spec("mlflow")
    folder = Path(package.origin).parent / "server" / "js" / "build" if package and package.origin else None
    return folder if folder and (folder / "index.html").exists() else None


@dataclass
class Console:
    """A running console. `calls` are the answers that the server gave it: method, path, status."""

    url: str
    calls: list[tuple[str, str, int]] = field(default_factory=list)

    def page(self, fragment: str, wait_ms: int = 20_000) -> str:
        """The page as the browser has it after that much time, which passes quickly where nothing is to be done."""
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1600,1200",
            f"--timeout={wait_ms}",
            f"--virtual-time-budget={wait_ms}",
        ]
        done = subprocess.run([browser(), *options, "--dump-dom", f"{self.url}/#{fragment}"], capture_output=True, text=True, timeout=180, check=True)
        return done.stdout


@contextlib.contextmanager
def served(server: str, headers: dict[str, str]):
    """The console on a port of its own, before a server."""
    folder = files()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            local = folder / "index.html" if path == "/" else folder / path.removeprefix("/static-files/")
            if path == "/" or path.startswith("/static-files/") and local.is_file():
                self.answer(200, mimetypes.guess_type(local)[0] or "application/octet-stream", local.read_bytes())
                return
            self.forward()

        def forward(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else None
            sent = {**headers, **{name: self.headers[name] for name in KEPT if self.headers.get(name)}}
            request = urllib.request.Request(server + self.path, data=body, method=self.command, headers=sent)
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    status, kind, text = answer.status, answer.headers.get("Content-Type") or "", answer.read()
            except urllib.error.HTTPError as error:
                status, kind, text = error.code, error.headers.get("Content-Type") or "", error.read()
            console.calls.append((self.command, self.path.partition("?")[0], status))
            self.answer(status, kind, text)

        do_POST = do_PUT = do_PATCH = do_DELETE = forward

        def log_message(self, *_) -> None:
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    console = Console(f"http://127.0.0.1:{listener.server_port}")
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield console
    finally:
        listener.shutdown()
        listener.server_close()

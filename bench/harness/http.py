"""A client that costs little and the same for every server: one connection, bytes made beforehand, answers cut by their length."""

from __future__ import annotations

import json
import selectors
import socket
import time


class Connection:
    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = port

    def request(self, method: str, path: str, body: object = None, token: str | None = None) -> bytes:
        payload = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        return f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + payload

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Sends a request and returns the status and the body."""
        self.socket.sendall(request)
        answer = self.socket.recv(65536)
        while b"\r\n\r\n" not in answer:
            answer += self.more()
        head, rest = answer.split(b"\r\n\r\n", 1)
        if b"transfer-encoding: chunked" in head.lower():
            return int(head[9:12]), self.chunks(bytearray(rest))
        length = body_length(head)
        if len(rest) >= length:
            return int(head[9:12]), rest
        body = bytearray(rest)
        while len(body) < length:
            body += self.more(1 << 20)
        return int(head[9:12]), bytes(body)

    def chunks(self, received: bytearray) -> bytes:
        """A body that comes in chunks, each behind its length."""
        body, at = [], 0
        while True:
            while (line := received.find(b"\r\n", at)) < 0:
                received += self.more(1 << 20)
            length = int(received[at:line].split(b";")[0], 16)
            begin, at = line + 2, line + 2 + length + 2
            while len(received) < at:
                received += self.more(1 << 20)
            if length == 0:
                return b"".join(body)
            body.append(bytes(received[begin : begin + length]))

    def more(self, at_most: int = 65536) -> bytes:
        data = self.socket.recv(at_most)
        if not data:
            raise RuntimeError("the server closed the connection")
        return data

    def close(self) -> None:
        self.socket.close()


def body_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    raise RuntimeError("the answer has no Content-Length")


def latencies_ms(connection: Connection, requests: list[bytes], count: int, warm_up: int = 200) -> list[float]:
    """The time of each of `count` exchanges, one after the other, after some that do not count."""
    taken = []
    for number in range(warm_up + count):
        request = requests[number % len(requests)]
        begin = time.perf_counter_ns()
        status, body = connection.exchange(request)
        elapsed = (time.perf_counter_ns() - begin) / 1e6
        if status != 200:
            raise RuntimeError(f"answer {status}: {body[:200].decode(errors='replace')}")
        if number >= warm_up:
            taken.append(elapsed)
    return taken


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def answers_per_second(port: int, requests: list[bytes], n_connections: int, seconds: float) -> float:
    """How many answers come in a second when every connection asks again as soon as it has its answer."""
    selector = selectors.DefaultSelector()
    connections = [Connection(port) for _ in range(n_connections)]
    buffers: dict[Connection, bytes] = {}
    asked = answered = 0
    try:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.socket.sendall(requests[asked % len(requests)])
            buffers[connection] = b""
            asked += 1
        begin = time.perf_counter()
        while (elapsed := time.perf_counter() - begin) < seconds:
            for key, _ in selector.select(timeout=30):
                connection = key.data
                buffers[connection] += connection.more()
                if not is_whole(buffers[connection]):
                    continue
                buffers[connection] = b""
                answered += 1
                connection.socket.sendall(requests[asked % len(requests)])
                asked += 1
        return answered / elapsed
    finally:
        selector.close()
        for connection in connections:
            connection.close()


def is_whole(answer: bytes) -> bool:
    """Whether all of an answer is there. Anything but a 200 ends the measurement: a refusal is quickly given."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"answer {answer[:200].decode(errors='replace')}")
    return len(body) >= body_length(head)

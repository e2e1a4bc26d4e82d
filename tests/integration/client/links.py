"""Bad roads: a proxy that loses replies, and servers that are no Redis."""

import contextlib
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

BUFFER = 65_536


class Proxy:
    """A loopback port before a server's unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lost: list[str] = []
        #: Connections that were made through it.
        self.connections = 0
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_next_reply(self, how: str) -> None:
        """The next bytes from the server are lost: "closed" with the connection, or "swallowed"."""
        self._lost.append(how)

    def cut(self) -> None:
        """Close all connections."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._path)
                self.connections += 1
                self._open += [client, server]
                threading.Thread(target=self._copy, args=(client, server), daemon=True).start()
                threading.Thread(target=self._copy, args=(server, client, True), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, replies: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(BUFFER):
                lost = self._lost.pop() if replies and self._lost else None
                if lost == "closed":
                    break
                if lost is None:
                    sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def pair(one: socket.socket, other: socket.socket) -> None:
    """Carry everything between two sockets until one of them ends."""
    selector = selectors.DefaultSelector()
    selector.register(one, selectors.EVENT_READ, other)
    selector.register(other, selectors.EVENT_READ, one)
    with selector:
        while True:
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(BUFFER)
                while isinstance(key.fileobj, ssl.SSLSocket) and key.fileobj.pending():
                    data += key.fileobj.recv(BUFFER)
                if not data:
                    return
                key.data.sendall(data)


@contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    one = Proxy(url.rpartition("@")[2].removeprefix("unix://"))
    try:
        yield one
    finally:
        one.close()


@contextmanager
def listener(serve: Callable[[socket.socket], Any]) -> Iterator[int]:
    """A loopback port where `serve` gets each connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=_served, args=(serve, client), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()


def _served(serve: Callable[[socket.socket], Any], client: socket.socket) -> None:
    with client, contextlib.suppress(OSError):
        serve(client)

"""A TCP proxy between a worker and its database, which breaks what it is told to break.

Owns `Proxy`, an asyncio server on a thread of its own. It can

* delay each chunk;
* be silent: forward nothing in either direction, and close nothing (a black hole);
* half open: close the server's side while the client never hears of it;
* reset: end connections with RST;
* cut: throw away the answer to the next COMMIT of a matching transaction, and with it the
  connection, once the server has answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading

from django.db import connection

CHUNK_BYTES = 65_536
#: More of a client's past than any one transaction says.
REMEMBERED_BYTES = 262_144


class Link:
    """One client's connection, and what its client has said."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.said = b""
        self.transaction = b""
        self.cut = False
        self.is_broken = False

    def heard(self, data):
        """Remember what the client says, in all and since its last transaction began."""
        self.said = (self.said + data)[-REMEMBERED_BYTES:]
        self.transaction = (self.transaction + data)[-REMEMBERED_BYTES:]


class Proxy:
    """Listens on a port of its own and forwards to a server.

    Args:
        port: the server's port on this machine.
    """

    def __init__(self, port):
        self.target = port
        self.delay_seconds = 0.0
        self.cuts = 0
        self._is_silent = False
        self._cut = None
        self._links = set()
        self._loop = asyncio.new_event_loop()
        self._server = None
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        started.wait(10)
        self.port = self._server.sockets[0].getsockname()[1]

    # What a case asks for.

    def silence(self):
        """Forward nothing more, on connections that are there and on new ones."""
        self._is_silent = True

    def swallow(self):
        """Forward nothing more on the connections that are there; new ones are well."""
        self._call(self._break_all)

    def half_open(self, pattern):
        """Close the server's side of the connections whose client said what matches.

        Their clients are not told, and wait. New connections are well.
        """
        self._call(lambda: self._half_open(re.compile(pattern, re.IGNORECASE | re.DOTALL)))

    def cut_answer(self, pattern):
        """Cut off the answer to the COMMIT of the next transaction that matches."""
        self._cut = re.compile(pattern, re.IGNORECASE | re.DOTALL)

    def reset(self):
        """End all connections with RST."""
        self._call(self._reset_all)

    def heal(self):
        """Forward everything again; connections that were silent are reset."""
        self._is_silent = False
        self._call(self._reset_broken)

    def close(self):
        """End the proxy and all its connections."""
        self._call(self._reset_all)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    # The work.

    def _call(self, work):
        done = threading.Event()

        def run():
            try:
                work()
            finally:
                done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait(10)

    def _run(self, started):
        asyncio.set_event_loop(self._loop)

        async def listen():
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
            started.set()

        self._loop.run_until_complete(listen())
        self._loop.run_forever()
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _accept(self, reader, writer):
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            abort(writer)
            return
        link = Link(writer, forth)
        self._links.add(link)
        try:
            await asyncio.gather(self._forth(link, reader), self._back(link, back))
        finally:
            self._links.discard(link)
            for end in (writer, forth):
                end.close()

    async def _forth(self, link, reader):
        """Forward what the client says."""
        while data := await self._read(reader):
            link.heard(data)
            if self._is_held(link):
                continue
            self._judge(link, data)
            link.server.write(data)
            with contextlib.suppress(OSError):
                await link.server.drain()
        link.server.close()

    async def _back(self, link, reader):
        """Forward what the server says."""
        while data := await self._read(reader):
            if self._is_held(link):
                continue
            if link.cut:
                self.cuts += 1
                abort(link.client)
                return
            link.client.write(data)
            with contextlib.suppress(OSError):
                await link.client.drain()
        if not link.is_broken:
            link.client.close()

    async def _read(self, reader):
        try:
            data = await reader.read(CHUNK_BYTES)
        except OSError:
            return b""
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        return data

    def _is_held(self, link):
        """Tell whether this chunk goes no further."""
        link.is_broken = link.is_broken or self._is_silent
        return link.is_broken

    def _judge(self, link, data):
        """Mark the link whose answer is to be cut off."""
        upper = data.upper()
        # On PostgreSQL a worker claims outside a transaction too: that statement commits itself.
        is_alone = connection.vendor == "postgresql" and b"BEGIN" not in link.transaction
        commits = b"COMMIT" in upper or is_alone
        if not commits and b"ROLLBACK" not in upper:
            return
        wanted = self._cut is not None and self._cut.search(link.transaction)
        if wanted and commits:
            link.cut, self._cut = True, None
        link.transaction = b""

    def _reset_all(self):
        for link in list(self._links):
            abort(link.client)
            abort(link.server)

    def _reset_broken(self):
        for link in [link for link in self._links if link.is_broken]:
            abort(link.client)
            abort(link.server)

    def _break_all(self):
        for link in self._links:
            link.is_broken = True

    def _half_open(self, pattern):
        for link in [link for link in self._links if pattern.search(link.said)]:
            link.is_broken = True
            abort(link.server)


def abort(writer):
    """Close a socket with RST, so that its peer gets an error and not an end."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

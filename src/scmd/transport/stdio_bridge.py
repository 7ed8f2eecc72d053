"""Standard input and output joined to this machine's SCM: the far end of `ssh://HOST`.

Bytes are passed on as they are, so the identity behind the calls is the user this process
runs as: the one who logged in.
"""

from __future__ import annotations

import os
import threading

from scmd.transport.blocking import RECEIVE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.transport.blocking import StreamSocket


def bridge(connection: StreamSocket, source: int = 0, sink: int = 1) -> None:
    """Pass bytes both ways until the SCM ends the connection, or after `source` has ended.

    An end of input ends the connection, so that calls whose client is gone are not waited for.
    BrokenPipeError: nobody reads the sink.
    """
    threading.Thread(target=_pass_in, args=(source, connection), daemon=True).start()
    while data := connection.receive(RECEIVE_BYTES):
        view = memoryview(data)
        while view:
            view = view[os.write(sink, view) :]


def _pass_in(source: int, connection: StreamSocket) -> None:
    try:
        while data := os.read(source, RECEIVE_BYTES):
            connection.send(data)
    except OSError:
        pass  # The SCM ended it: `bridge` sees that too.
    connection.shut_down()

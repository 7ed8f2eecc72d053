"""How the notifications go out: a POST to a web hook, a mail.

A way raises OSError when it could not deliver; trying again is the service's.
"""

from __future__ import annotations

import json
import smtplib
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from functools import partial
from http.client import HTTPException
from urllib.parse import urlsplit

from scmd.vocabulary.names import escaped

DELIVERY_LIMIT_S = 10
Message = dict[str, object]
Deliver = Callable[[Message], None]


def post(url: str, message: Message) -> None:
    """OSError: not delivered."""
    if not url.startswith(("http://", "https://")):
        raise OSError(f"{url} is no http address")
    body = json.dumps(message).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=DELIVERY_LIMIT_S):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except (HTTPException, ValueError) as error:
        raise OSError(f"{url}: {error}") from error


def mail(server: str, sender: str, receiver: str, message: Message) -> None:
    """OSError (which SMTPException is): not delivered."""
    letter = EmailMessage()
    try:
        letter["Subject"] = escaped(f"{message['host']}: {message['text']}")
        letter["From"], letter["To"] = sender, receiver
        letter.set_content(json.dumps(message, indent=2))
        address = urlsplit(f"//{server}")
        host, port = address.hostname or "localhost", address.port or 25
        with smtplib.SMTP(host, port, timeout=DELIVERY_LIMIT_S) as connection:
            connection.send_message(letter)
    except ValueError as error:
        raise OSError(f"mail by {server} from {sender} to {receiver}: {error}") from error


def deliveries(parameters: Mapping[str, object]) -> list[Deliver]:
    """The ways that are configured; each receiver of mail is one, as a server may refuse some."""
    ways: list[Deliver] = []
    url = str(parameters.get("WebhookUrl", ""))
    if url:
        ways.append(partial(post, url))
    server = str(parameters.get("MailServer", "localhost:25"))
    sender = str(parameters.get("MailFrom", f"scmd@{socket.gethostname()}"))
    ways += [partial(mail, server, sender, each) for each in texts(parameters.get("MailTo"))]
    return ways


def texts(value: object) -> tuple[str, ...]:
    """A parameter that may be one text or several."""
    if isinstance(value, tuple):
        return tuple(str(each) for each in value)
    return (str(value),) if value else ()

"""The bytes that docs/control-protocol.md shows are bytes that the decoder takes."""

from __future__ import annotations

import re
from pathlib import Path

from scmd.control_pipe import packets

DOCUMENT = Path(__file__).parents[2] / "docs" / "control-protocol.md"


def test_the_conversation_in_the_document_is_real() -> None:
    conversation = DOCUMENT.read_text().split("```")[1]
    decoders = {
        "process": packets.Decoder(packets.PROCESS_PACKETS),
        "SCM": packets.Decoder(packets.SCM_PACKETS),
    }
    messages: list[tuple[str, str]] = []
    for line in conversation.strip().splitlines():
        sender, content = line[:9].strip(), line[9:]
        numbers = re.match(r"((?:[0-9a-f]{2} +)*(?:[0-9a-f]{2})?)(?: |$)", content)
        text = numbers[1] if numbers else ""
        if sender:
            messages.append((sender, text))
        else:
            messages[-1] = (messages[-1][0], messages[-1][1] + text)
    decoded = [decoders[sender].feed(bytes.fromhex(text)) for sender, text in messages]
    assert [type(packet).__name__ for packet in decoded] == [
        "Hello",
        "Welcome",
        "Start",
        "StartAnswer",
        "Registered",
        "Status",
        "Control",
        "ControlAnswer",
        "Status",
    ]


def test_every_packet_is_in_the_document_with_its_number() -> None:
    document = DOCUMENT.read_text()
    documented = dict(re.findall(r"^\| (\d+) \| ([A-Z]\w+) \|", document, re.MULTILINE))
    declared = {}
    for packet in packets.PROCESS_PACKETS + packets.SCM_PACKETS:
        layout = packets._BY_PACKET[packet]
        declared[str(layout.kind)] = packet.__name__
    assert documented == declared
    assert f"**{packets.MAX_PACKET} bytes**" in document
    assert f"**`{packets.CONTROL_FD_VARIABLE}`**" in document
    assert f"**`{packets.SERVICE_TYPE_VARIABLE}`**" in document

"""Triggers as records: types, actions, data types and the well-known subtypes.

[MS-SCMR] 2.2.52 and 2.2.53, and winsvc.h's GUIDs.
"""

from __future__ import annotations

from enum import IntEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class TriggerType(IntEnum):
    """SERVICE_TRIGGER.dwTriggerType."""

    DEVICE_INTERFACE_ARRIVAL = 1
    IP_ADDRESS_AVAILABILITY = 2
    DOMAIN_JOIN = 3
    FIREWALL_PORT_EVENT = 4
    GROUP_POLICY = 5
    NETWORK_ENDPOINT = 6
    CUSTOM_SYSTEM_STATE_CHANGE = 7
    CUSTOM = 20
    AGGREGATE = 30


class TriggerAction(IntEnum):
    START = 1
    STOP = 2


class TriggerData(IntEnum):
    """SERVICE_TRIGGER_SPECIFIC_DATA_ITEM.dwDataType."""

    BINARY = 1
    STRING = 2
    LEVEL = 3
    KEYWORD_ANY = 4
    KEYWORD_ALL = 5


TRIGGER_DATA_SIZES: Mapping[int, int] = {
    TriggerData.LEVEL: 1,
    TriggerData.KEYWORD_ANY: 8,
    TriggerData.KEYWORD_ALL: 8,
}
"""Of data whose size follows from its type."""
MAX_TRIGGER_DATA = 1024

FIRST_ADDRESS = "4f27f2de-14e2-430b-a549-7cd48cbc8245"
LAST_ADDRESS = "cc4ba62a-162e-4648-847a-b6bdf993e335"
DOMAIN_JOINED = "1ce20aba-9851-4421-9430-1ddeb766e809"
DOMAIN_LEFT = "ddaf516e-58c2-4866-9574-c3b615d42ea1"
PORT_OPEN = "b7569e07-8421-4ee0-ad10-86915afdad09"
PORT_CLOSE = "a144ed38-8e12-4de4-9d96-e64740b1a524"
MACHINE_POLICY = "659fcae6-5bdb-4da9-b1ff-ca2a178d46e0"
USER_POLICY = "54fb46c8-f089-464c-b1fd-59d1b62c3b50"
RPC_INTERFACE = "bc90d167-9470-4139-a9ba-be0bbbf5b74d"
NAMED_PIPE = "1f81d131-3fac-4537-9e0c-7e7b0c2f4b55"

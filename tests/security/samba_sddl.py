"""Run by the system's Python: SDDL and descriptors through Samba's own code, line by line.

Each line of input is a JSON pair: ["bytes", SDDL] or ["text", base64 of a self-relative
descriptor]; the answer is the other form, or null where Samba does not understand it.
"""

import base64
import json
import sys

from samba.dcerpc import security  # type: ignore[import-not-found] # the system's Python has it
from samba.ndr import ndr_pack, ndr_unpack  # type: ignore[import-not-found] # as above

DOMAIN = security.dom_sid("S-1-5-21-1-2-3")

for line in sys.stdin:
    wanted, value = json.loads(line)
    if wanted == "bytes":
        try:
            answer = security.descriptor.from_sddl(value, DOMAIN)
        except (TypeError, ValueError, RuntimeError):
            print("null")
            continue
        print(json.dumps(base64.b64encode(ndr_pack(answer)).decode()))
    else:
        descriptor = ndr_unpack(security.descriptor, base64.b64decode(value))
        print(json.dumps(descriptor.as_sddl(DOMAIN)))

"""Samba's tests of how an RPC server answers, which also run against Windows; a program of its own.

`samba_raw_protocol.py ADDRESS USER PASSWORD OMITTED`: the server listens at port 135 of ADDRESS,
tests whose names match OMITTED are not run. Prints a JSON object, test to what went wrong ("":
nothing). Where the tests would come as nobody they come as the user, and of the context in a
response only what Windows sends of it is looked at.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import unittest
from importlib import import_module
from typing import Any

RESPONSE = 2


def main(address: str, user: str, password: str, omitted: str) -> None:
    with tempfile.NamedTemporaryFile() as configuration:
        os.environ.update(
            SERVER=address,
            USERNAME=user,
            PASSWORD=password,
            DOMAIN="ELSEWHERE",
            REALM="",
            SMB_CONF_PATH=configuration.name,
        )
        theirs: Any = import_module("samba.tests.dcerpc.raw_protocol").TestDCERPC_BIND

        class Suite(theirs):  # type: ignore[misc] # Samba has no types.
            def get_anon_creds(self) -> Any:
                return self.get_user_creds()

            def recv_pdu_raw(self, *arguments: Any, **more: Any) -> Any:
                heard, raw = super().recv_pdu_raw(*arguments, **more)
                if heard is not None and heard.ptype == RESPONSE:
                    heard.u.context_id &= 0xFF
                return heard, raw

        outcomes = {}
        for name in unittest.defaultTestLoader.getTestCaseNames(Suite):
            if re.fullmatch(f"test_({omitted})", name):
                continue
            result = unittest.TestResult()
            Suite(name).run(result)
            wrong = [*result.failures, *result.errors]
            outcomes[name] = wrong[0][1] if wrong else ""
    print(json.dumps(outcomes))


main(*sys.argv[1:])

"""Who speaks on a DCE/RPC connection, and that nobody changes what is said.

`provider` says what a mechanism has to do; `ntlm_*` and `spnego` are mechanisms, others come
from outside. `acceptance` and `initiation` are the two ends' parts in a connection, `protection`
is what an established context does to each PDU. Pure: time and randomness are arguments.
"""

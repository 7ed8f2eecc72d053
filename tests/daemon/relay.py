"""A manager for tests: gives its end of the keeper's socket to the test, then does as told.

Arguments: the test's unix socket, the keeper's descriptor. One byte from the test is the
exit status; end of file means 0.
"""

import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as test:
    test.connect(sys.argv[1])
    keeper = int(sys.argv[2])
    socket.send_fds(test, [os.getpid().to_bytes(4, "little")], [keeper])
    os.close(keeper)
    status = test.recv(1)
sys.exit(status[0] if status else 0)

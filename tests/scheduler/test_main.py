"""`python -m scheduler`: it ends when it is asked to, whichever thread the signal finds."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from scheduler.child import environment

# The kernel hands a signal to any thread that does not block it; here never to the main one.
WAITING = """
import os, signal, sys, threading
from scheduler.__main__ import expect
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
stopped = expect(signal.SIGTERM)
print("ready", flush=True)
os.read(stopped, 1)
sys.exit(7)
"""


@pytest.mark.server
def test_a_signal_that_another_thread_receives_ends_the_wait() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING], env=environment(), stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 7
    finally:
        process.kill()
        process.communicate()

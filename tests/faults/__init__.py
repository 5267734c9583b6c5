"""Faults on purpose: the engine killed again and again, hours of random input, full disks, no memory.

``python -m tests.faults.kills`` and ``python -m tests.faults.soak`` run long and are called by hand;
``docs/faults.md`` has what they measured. The tests beside them are part of the suite.
"""

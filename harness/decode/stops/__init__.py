"""Stop checks: how the host learns that every row has ended. One file each, self-registering.

A stop check is used in this order: `begin` once, then for each step `on_stream(step)` around the
step, `publish(step, flag)` behind the forward pass, `should_stop(step)` on the host; `end` once.
"""

MODULES = ("deferred", "every_k", "never", "pingpong", "sync")
"""The files that register stop checks, in listing order: a new one is one more name here."""

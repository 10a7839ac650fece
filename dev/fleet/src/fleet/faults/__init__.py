"""Faults of a running fleet, switched on and off from outside: what the controls of the demo's judge are made with.

No product code knows of them. `voice` stands in the way of the agent's espeak-ng, `line` between the phone and the SIP
bridge, and `rows` changes what the services have stored.
"""

from __future__ import annotations

"""What travels on the bus: one module per domain, each message a frozen model; `catalogue` is the list of them all."""

"""SIP over UDP. The only package that imports aiosipua, and only for parsing: its transport and dispatch lack
retransmission handling, so transactions and dialogs are written here."""

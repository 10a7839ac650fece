"""The mailbox of everybody on one machine: takes all mail by real SMTP, sends none on, and shows it."""

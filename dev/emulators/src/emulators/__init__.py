"""Providers' wire protocols over real sockets, for tests and demonstrations without an account (README.md)."""

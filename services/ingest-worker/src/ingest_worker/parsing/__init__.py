"""Bytes of a document to blocks, in a subprocess that can't do harm."""

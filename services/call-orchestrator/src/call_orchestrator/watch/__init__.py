"""Rooms as LiveKit shows them, compared with what the records say: dispatch again, clean up, close what is over."""

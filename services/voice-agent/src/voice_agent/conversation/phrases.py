"""What the agent says by itself, in English. Nothing here promises anything that nobody has done."""

from __future__ import annotations

STILL_THERE = "Are you still there?"
SILENCE_GOODBYE = "I can't hear anybody, so I'll hang up now. Goodbye."
NOT_HEARD = "Sorry, I didn't catch that. Could you say it again?"
NOT_HEARD_AGAIN = "I'm sorry, I still couldn't make that out. You can ask me something else."
CANT_LOOK_UP = "I'm sorry, I can't look that up right now. Is there anything else?"
DONT_KNOW = "I'm sorry, I don't know that. Is there anything else I can help with?"
GOODBYE = "Goodbye!"
NOT_SURE = "I'm not sure about that."
LOST_THREAD = "I'm sorry, I lost my thread there. What else would you like to know?"
VOICE_BROKE = "I'm sorry, my voice was cut off for a moment. Shall I say that again?"
TIME_IS_UP = "I'm sorry, we have reached the longest time for a call. Goodbye."


def default_greeting(clinic: str) -> str:
    return f"Hello, this is {clinic}. How can I help you?"

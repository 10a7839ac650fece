"""Why a document can't be taken in: sentences for the clinic. None of them repeats anything of the document."""

from __future__ import annotations


class Unreadable(Exception):
    """The document itself is the reason; trying again can't help. ``str()`` is the sentence for the clinic."""


NOT_A_PDF = "This file is damaged or is not a PDF. Open it on your computer, save it as a PDF again and upload that."
ENCRYPTED = "This PDF is protected by a password. Save a copy without the password and upload that."
NO_TEXT = (
    "This PDF holds only pictures of pages, no text that we can read. Upload the original document, or a scan with text "
    "recognition."
)
EMPTY = "This document holds no text."
NOT_TEXT = "This file is not a text file. Save it as plain text (UTF-8), Markdown or PDF and upload that."
TOO_COMPLICATED = "This document is too large or too complicated for us to read. Split it into smaller ones."
CHANGED = "The stored file is not the one that was uploaded. Please upload it again."
GONE = "The stored file is no longer there. Please upload it again."
OUR_FAULT = "We could not finish reading this document because of a fault on our side. Please upload it again later."


def too_many_pages(pages: int, most: int) -> str:
    return f"This PDF has {pages} pages; we take at most {most}. Split it into smaller documents."


def too_many_pieces(most: int) -> str:
    return f"This document is longer than we take (more than {most} passages). Split it into smaller documents."

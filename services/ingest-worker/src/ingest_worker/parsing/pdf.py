"""PDF by pypdfium2. Runs in the parser's subprocess only."""

from __future__ import annotations

import pypdfium2 as pdfium
import pypdfium2.raw as c

from ingest_worker.parsing.blocks import Block
from ingest_worker.parsing.geometry import read_page
from ingest_worker.parsing.layout import blocks_of
from ingest_worker.parsing.problems import (
    EMPTY,
    ENCRYPTED,
    NO_TEXT,
    NOT_A_PDF,
    TOO_COMPLICATED,
    Unreadable,
    too_many_pages,
)


def parse_pdf(data: bytes, max_pages: int) -> list[Block]:
    """The blocks of a PDF; :class:`Unreadable` with the reason when there is nothing to be had from it."""
    try:
        document = pdfium.PdfDocument(data)
        pages = len(document)
    except pdfium.PdfiumError as error:
        code = getattr(error, "err_code", None)
        raise Unreadable(ENCRYPTED if code in (c.FPDF_ERR_PASSWORD, c.FPDF_ERR_SECURITY) else NOT_A_PDF) from None
    try:
        if pages == 0:
            raise Unreadable(NOT_A_PDF)
        if pages > max_pages:
            raise Unreadable(too_many_pages(pages, max_pages))
        read = [read_page(document[index]) for index in range(pages)]
        if not any(page.words for page in read):
            raise Unreadable(NO_TEXT if _has_pictures(document) else EMPTY)
        return blocks_of(read)
    except pdfium.PdfiumError:
        raise Unreadable(NOT_A_PDF) from None
    except ValueError:
        raise Unreadable(TOO_COMPLICATED) from None
    finally:
        document.close()


def _has_pictures(document: pdfium.PdfDocument) -> bool:
    return any(True for page in document for _ in page.get_objects(max_depth=3))

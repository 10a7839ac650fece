"""Word error rate of the offline ear on spoken questions about clinics it was not built with.

    python -m bench.offline_stt [--quick] [--seed N] [--clinics test-3|test-2|test|development]

The same questions, voices and lines as ``bench.offline_answers``, first takes only. Prints Markdown.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from bench.offline import report
from bench.offline.command import Options, measure, print_heading, started


def main(arguments: Sequence[str] | None = None) -> int:
    """0: figures are printed, not judged."""
    began = started()
    options = Options.parse("Word error rate of the offline ear.", arguments)
    outcomes = asyncio.run(measure(options, answers=False))
    print_heading("offline_stt", options, outcomes, began)
    print(report.hearing_table(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())

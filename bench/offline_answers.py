"""How well the offline pipeline answers spoken questions about clinics it was not built with.

    python -m bench.offline_answers [--quick] [--seed N] [--clinics test-3|test-2|test|development]

espeak-ng callers ask over a simulated telephone line; the offline ear hears, the agent's conversation core and offline brain
answer from what rag-svc finds in PostgreSQL. A caller who is asked to say it again says the same words once more, slower.
Prints Markdown; the full form takes about a quarter of an hour on two cores, ``--quick`` about a minute.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from bench.offline import report
from bench.offline.command import Options, measure, print_heading, started


def main(arguments: Sequence[str] | None = None) -> int:
    """1 when an answer was invented, so that a pipeline notices."""
    began = started()
    options = Options.parse("Answers of the offline pipeline.", arguments)
    outcomes = asyncio.run(measure(options, answers=True))
    print_heading("offline_answers", options, outcomes, began)
    print(report.answers_table(outcomes))
    print()
    print(report.goals(outcomes))
    return 1 if report.invented(outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())

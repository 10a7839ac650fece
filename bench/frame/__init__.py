"""What every bench of speed shares: interleaving, its statistics, what is kept of a run, tables, charts and the guard.

A bench is ``bench/<name>.py`` with ``main(arguments) -> int``, which is ``command.run``. It starts processes on a
``ground.ground``, lays out its cases as ``interleave.Side``s, runs them with
``interleave.interleave`` and hands cases and figures to ``command.finish``, which prints them (or "too noisy").
"""

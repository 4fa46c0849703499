"""Measuring the queue: how fast, how soon, at what cost, and beside what limit.

``python -m bench`` measures everything, ``python -m bench drain --db postgresql`` one thing;
docs/performance.md says how to read it. Nothing here is part of the package. Each contestant
runs in processes of its own, started as a user would start them; this side only makes
databases, looks on from outside and counts.
"""

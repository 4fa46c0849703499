"""The first page: what is wrong, how much is done, how fast, and what comes next.

`overview` reads and caches, `charts` turns counts into geometry, `chart_context` and `panels`
give them words and links, `page` answers requests.
"""

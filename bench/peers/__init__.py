"""Other task queues, each in a virtual environment of its own, measured in the same run.

`catalogue` says how each is installed and started, `environments` makes the environments,
`measures` measures. The other modules run in those environments: one a queue, with its tasks
and how to enqueue them, and `driver`, which calls them.
"""

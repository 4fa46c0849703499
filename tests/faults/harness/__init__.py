"""What the fault cases are made of.

`servers` are databases of a case's own, `proxy` breaks the network between a worker and its
database, `failpoints` end a worker at a commit, `mutations` take a guard away, `entry` is
the worker process that obeys both, `workers` starts and kills such processes, `audit` has the
database itself write down each change of a status, and `invariants` judges all of it after
every case, by what is outside the system under test: the ledger of the handlers, the
audit, and what the producer was told.
"""

"""What the three databases do differently, named by intent; the only place that names one.

`clock` tells the database's time, `indexes` and `fields` shape the schema, `transactions`
opens and repeats them, `hygiene`
tidies connections after a task, `errors` reads a driver's error codes, `statements` holds what a
queryset cannot say, `servers` knows versions and options. No module here knows a task.
"""

"""A small newsletter site: subscribers, issues, and the tasks that send them."""

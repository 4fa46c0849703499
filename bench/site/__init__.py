"""The Django project that is measured: its settings, one model, and handlers."""

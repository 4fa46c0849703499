"""How Sphinx builds the documentation: `make docs`."""

from django_taskstore import __version__

project = "django-taskstore"
author = "The django-taskstore contributors"
copyright = f"2026, {author}"
version = release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"django-taskstore {__version__}"
html_static_path = ["_static"]

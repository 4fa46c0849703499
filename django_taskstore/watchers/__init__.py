"""Waking an idle worker when there is something new.

`Listener` hears PostgreSQL's NOTIFY, `FileWatcher` the system's word that SQLite's files were
written; `Lookout` lets a MariaDB server look. MySQL can do none of it, and is polled. A
wake-up is a hint: polling stays on everywhere. It may change nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from django_taskstore.conf import settings
from django_taskstore.database.servers import is_file, is_mysql, is_postgresql
from django_taskstore.watchers.files import FileWatcher
from django_taskstore.watchers.listener import Listener
from django_taskstore.watchers.lookout import Lookout
from django_taskstore.watchers.watcher import Sought, Watcher

__all__ = ["FileWatcher", "Listener", "Lookout", "Sought", "Watcher", "watch"]


def watch(
    using: str, wake_up: Callable[[str], None], unheard: Callable[[], None]
) -> Watcher | None:
    """Start what wakes a worker on this database, or return None where it has to poll.

    Args:
        using, wake_up, unheard: as for `Watcher`.
    """
    watcher: Watcher
    if is_postgresql(using) and settings.NOTIFY:
        watcher = Listener(using, wake_up, unheard)
    elif is_file(using):
        watcher = FileWatcher(using, wake_up, unheard)
    elif is_mysql(using) and settings.NOTIFY:
        watcher = Lookout(using, wake_up, unheard)
    else:
        return None
    watcher.start()
    return watcher

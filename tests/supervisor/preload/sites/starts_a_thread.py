"""An application that starts a thread while it is imported."""

import threading

from tests.supervisor.preload.sites.preloaded import wsgi

threading.Thread(target=threading.Event().wait, name="poller", daemon=True).start()
app = wsgi

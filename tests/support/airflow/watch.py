"""Threads that look at something all the while a test runs."""

import threading
import time

import requests


def link_of(airflow, task, name):
    """Wait for a link of a task instance, which Airflow stores after the task's state; return it.

    ``task`` is the task instance's path in the REST API, with `?map_index=` where it is mapped.
    """
    path, _, query = task.partition("?")
    links = {}

    def stored():
        links.update(airflow.api("GET", f"{path}/links?{query}")["extra_links"])
        return links.get(name)

    airflow.wait(stored, 60, lambda: f"{task} has no link {name}: {links}")
    return links[name]


class Every:
    """Calls `look` again and again while its block runs."""

    interval_s = 0.5

    def __enter__(self):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(self.interval_s):
            self.look()

    def look(self):
        raise NotImplementedError


class Watch(Every):
    """Notes every file below a folder that is replaced, changed or gone after it stood.

    Attributes:
        replaced: The paths of those.
    """

    def __init__(self, folder):
        self.replaced = []
        self._folder = folder
        self._seen = {}

    def items(self):
        """Return how many items stood when it last looked."""
        return sum(path.name == "item.json" for path in [*self._seen])

    def look(self):
        found = {}
        for path in self._folder.rglob("*"):
            try:
                facts = path.stat()
            except FileNotFoundError:  # gone since it was listed; seen below if it had stood
                continue
            if path.is_file():
                found[path] = (facts.st_ino, facts.st_mtime_ns)
        self.replaced += [path for path, facts in self._seen.items() if found.get(path) != facts]
        self._seen = found


class Answers(Every):
    """Asks an Airflow for its pages as a browser would, and notes how long it takes.

    Attributes:
        seconds: Of every answer.
        unhealthy: What was wrong with the scheduler, or with an answer, each time.
    """

    interval_s = 2.0

    def __init__(self, airflow, paths):
        self.seconds = []
        self.unhealthy = []
        self._airflow = airflow
        self._paths = paths

    def look(self):
        headers = {"Authorization": f"Bearer {self._airflow._token}"}
        for path in ("/api/v2/monitor/health", *self._paths):
            began = time.monotonic()
            answer = requests.get(self._airflow.url + path, headers=headers, timeout=60)
            self.seconds.append(time.monotonic() - began)
            if not answer.ok:
                self.unhealthy.append(f"{path}: {answer.status_code}")
            elif path.endswith("/health") and answer.json()["scheduler"]["status"] != "healthy":
                self.unhealthy.append(answer.text)

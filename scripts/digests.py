"""`make digests`: fixes the images of Dockerfile and docker-compose.yaml by their digests.

Asks the registry, through docker, which digest each tag has now, and writes it behind the tag:
``postgres:16@sha256:...``. A digest that is there is replaced. Commit what it changes.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[1]
IMAGES: Final = {
    "Dockerfile": r"(?P<field>^FROM )(?P<tag>[^\s@]+)(?:@\S+)?",
    "docker-compose.yaml": r"(?P<field>^ +image: )(?P<tag>(?!airflow-copernicus:)[^\s@]+)(?:@\S+)?",
}
"""Where images of others stand; the one that is built here has no digest in any registry."""
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def main() -> None:
    """Look up every digest, then write both files; all or nothing."""
    written = {name: _fixed(name, pattern) for name, pattern in IMAGES.items()}
    for name, text in written.items():
        (PROJECT / name).write_text(text)


def _fixed(name: str, pattern: str) -> str:
    def reference(found: re.Match[str]) -> str:
        return f"{found['field']}{found['tag']}@{_digest(found['tag'])}"

    return re.sub(pattern, reference, (PROJECT / name).read_text(), flags=re.M)


def _digest(tag: str) -> str:
    command = ["docker", "buildx", "imagetools", "inspect", tag, "--format", "{{json .Manifest}}"]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    digest = str(json.loads(answer)["digest"])
    if not DIGEST.fullmatch(digest):
        raise SystemExit(f"{tag}: docker gives {digest!r}, which is no digest.")
    print(f"{tag}@{digest}")
    return digest


if __name__ == "__main__":
    main()

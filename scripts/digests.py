"""`make digests`: pins the images of Dockerfile and docker-compose.yaml by digest.

Reads the current digest of each tag from the registry, with docker, and appends it to the tag:
``postgres:16@sha256:...``. Existing digests are replaced. Commit the changed files.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[1]
IMAGES: Final = {
    "Dockerfile": r"(?P<field>^FROM )(?P<tag>[^\s@]+/[^\s@]+)(?:@\S+)?",
    "docker-compose.yaml": r"(?P<field>^ +image: )(?P<tag>(?!airflow-copernicus:)[^\s@]+)(?:@\S+)?",
}
"""Patterns of image references, except stages and images that are built here and in no registry."""
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def main() -> None:
    """Look up all digests, then write both files."""
    written = {name: _fixed(name, pattern) for name, pattern in IMAGES.items()}
    for name, text in written.items():
        (PROJECT / name).write_text(text)


def _fixed(name: str, pattern: str) -> str:
    def reference(found: re.Match[str]) -> str:
        return f"{found['field']}{found['tag']}@{_digest(found['tag'])}"

    return re.sub(pattern, reference, (PROJECT / name).read_text(), flags=re.M)


def _digest(tag: str) -> str:
    command = ["docker", "buildx", "imagetools", "inspect", tag, "--format", "{{json .Manifest}}"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    digest = str(json.loads(output)["digest"])
    if not DIGEST.fullmatch(digest):
        raise SystemExit(f"{tag}: docker returned {digest!r}, which is not a digest.")
    print(f"{tag}@{digest}")
    return digest


if __name__ == "__main__":
    main()

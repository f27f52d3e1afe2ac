"""a folder → a disk of its own there, so small that it can be filled; where that is not allowed, an ordinary folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LittleDisk:
    """A folder on a disk of `size` bytes while the block lasts. is_one: whether there is such a disk, which needs the
    right to mount (root on Linux)."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self._size = size
        self.is_one = False

    def __enter__(self) -> LittleDisk:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", str(self.folder)]
        try:
            self.is_one = subprocess.run(command, capture_output=True).returncode == 0
        except OSError:
            self.is_one = False
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_one:
            subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True)

    def used(self) -> int:
        """Bytes of the files in it."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    @contextmanager
    def filled(self, room: int) -> Iterator[None]:
        """While the block lasts, only so many bytes are free."""
        ballast = self.folder / ".ballast"
        free = os.statvfs(self.folder)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - room))
        try:
            yield
        finally:
            ballast.unlink()

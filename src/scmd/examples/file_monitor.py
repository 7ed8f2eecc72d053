"""File monitor: says in the event log what happens to the files of a folder.

Parameters:
    Folder     the folder to watch (default /etc)
    Recursive  1: with all folders in it (default); 0: only the folder itself
    Ignore     names to leave out, as shell patterns (default: scratch files of editors)

Each change is one entry: created, changed (when the writer has closed the file), deleted,
moved. The kernel tells (inotify), so an idle monitor costs nothing. While the service is
paused the kernel collects; at continue everything is reported. When the folder itself is
deleted, moved or unmounted, that is said, and the service fails.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Iterator, Sequence
from enum import IntFlag
from fnmatch import fnmatch

import scmd
from scmd.vocabulary.names import escaped

DEFAULT_IGNORE = ("*~", "*.swp", "*.swx", ".#*", "4913")


class Mask(IntFlag):
    """The bits of inotify(7) that are used here."""

    CLOSE_WRITE = 0x8
    MOVED_FROM = 0x40
    MOVED_TO = 0x80
    CREATE = 0x100
    DELETE = 0x200
    MOVE_SELF = 0x800
    Q_OVERFLOW = 0x4000
    IGNORED = 0x8000  # the folder is gone
    ISDIR = 0x40000000


VERBS = {
    Mask.CREATE: "created",
    Mask.CLOSE_WRITE: "changed",
    Mask.DELETE: "deleted",
    Mask.MOVED_FROM: "moved away",
    Mask.MOVED_TO: "moved here",
}
WATCHED = sum(VERBS) | Mask.MOVE_SELF | 0x1000000  # IN_ONLYDIR
EVENT_HEADER = struct.Struct("iIII")  # watch, mask, cookie, length of the name

Change = tuple[str, str]  # what happened, and to which path


class FolderWatch:
    """An inotify instance over a folder. Folders that appear in it are watched as well."""

    mask = WATCHED

    def __init__(self, folder: str, recursive: bool = True, ignore: Sequence[str] = ()) -> None:
        """OSError: the folder cannot be watched."""
        self.folder, self.is_gone = folder, False
        self.recursive = recursive
        self.ignore = ignore
        self.unreadable: list[str] = []
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._folders: dict[int, str] = {}
        self.fd: int = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify cannot be used")
        try:
            self._add(folder)
        except OSError:
            self.close()
            raise
        list(self._add_folders_of(folder))

    def close(self) -> None:
        os.close(self.fd)

    def read(self) -> list[Change]:
        """What happened since the last call; does not wait."""
        changes: list[Change] = []
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return changes
            offset = 0
            while offset < len(data):
                watch, mask, _, length = EVENT_HEADER.unpack_from(data, offset)
                offset += EVENT_HEADER.size + length
                name = os.fsdecode(data[offset - length : offset].rstrip(b"\0"))
                changes += self._understand(watch, Mask(mask), name)

    def _understand(self, watch: int, mask: Mask, name: str) -> Iterator[Change]:
        if mask & Mask.Q_OVERFLOW:
            yield ("lost", "more happened than the kernel could keep")
        folder = self._folders.get(watch)
        if folder == self.folder and mask & (Mask.IGNORED | Mask.MOVE_SELF) and not self.is_gone:
            self.is_gone = True
            yield ("gone", folder)
        if mask & Mask.IGNORED:
            folder = self._folders.pop(watch, None)
        if folder is None or any(fnmatch(name, pattern) for pattern in self.ignore):
            return
        path = os.path.join(folder, name)
        for bit, verb in VERBS.items():
            if mask & bit:
                yield (verb, path)
        if mask & Mask.ISDIR and mask & Mask.MOVED_FROM:
            self._forget(path)
        elif mask & Mask.ISDIR and mask & (Mask.CREATE | Mask.MOVED_TO) and self.recursive:
            yield from self._add_new(path)

    def _add_new(self, path: str) -> Iterator[Change]:
        """Watches a folder that appeared, and tells what was put into it before that."""
        try:
            self._add(path)
        except OSError:
            self.unreadable.append(path)
        else:
            yield from self._add_folders_of(path)

    def _forget(self, path: str) -> None:
        """The kernel watches folders, not names: after a move it would go on."""
        for watch, folder in list(self._folders.items()):
            if folder == path or folder.startswith(path + "/"):
                del self._folders[watch]
                self._libc.inotify_rm_watch(self.fd, watch)

    def _add(self, folder: str) -> None:
        watch = self._libc.inotify_add_watch(self.fd, os.fsencode(folder), self.mask)
        if watch < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), folder)
        self._folders[watch] = folder

    def _add_folders_of(self, folder: str) -> Iterator[Change]:
        if not self.recursive:
            return
        try:
            entries = list(os.scandir(folder))
        except OSError:
            self.unreadable.append(folder)
            return
        for entry in entries:
            if any(fnmatch(entry.name, pattern) for pattern in self.ignore):
                continue
            yield ("created", entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from self._add_new(entry.path)


class FileMonitor(scmd.Service):
    """The service: the kernel and the SCM speak to one event loop."""

    name = "FileMonitor"
    display = "File Monitor"
    description = "Writes to the event log what happens to the files of a folder."

    async def run(self, svc: scmd.ServiceContext) -> None:
        ignore = svc.parameters.get("Ignore", DEFAULT_IGNORE)
        watch = self.watch = FolderWatch(
            svc.parameters.get("Folder", "/etc"),
            recursive=int(svc.parameters.get("Recursive", 1)) != 0,
            ignore=(ignore,) if isinstance(ignore, str) else ignore,
        )
        self.gone = asyncio.get_running_loop().create_future()
        self.on_continue(svc)
        stopped = asyncio.ensure_future(svc.wait_async())
        await asyncio.wait((stopped, self.gone), return_when=asyncio.FIRST_COMPLETED)
        self.on_pause(svc)
        watch.close()
        if not stopped.done():
            raise FileNotFoundError(f"{watch.folder} is no longer there")
        stopped.result()

    def on_pause(self, svc: scmd.ServiceContext) -> None:
        asyncio.get_running_loop().remove_reader(self.watch.fd)

    def on_continue(self, svc: scmd.ServiceContext) -> None:
        asyncio.get_running_loop().add_reader(self.watch.fd, self.report, svc)

    def report(self, svc: scmd.ServiceContext) -> None:
        for verb, path in self.watch.read():
            svc.log.info("%s: %s", verb, escaped(path))
        while self.watch.unreadable:
            svc.log.warning("Not watched, for lack of access: %s", self.watch.unreadable.pop())
        if self.watch.is_gone and not self.gone.done():
            self.gone.set_result(None)


file_monitor = FileMonitor()

if __name__ == "__main__":
    file_monitor.main()

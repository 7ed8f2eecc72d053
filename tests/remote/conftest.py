"""The machine of the system tests, for the tests of remote administration."""

from tests.system.conftest import bare, folder, kept, machine

__all__ = ["bare", "folder", "kept", "machine"]

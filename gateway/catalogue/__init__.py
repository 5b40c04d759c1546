"""What each server of this gateway offers to whom, under the names that clients see."""

from gateway.catalogue.directory import Directory, Server

__all__ = ["Directory", "Server"]

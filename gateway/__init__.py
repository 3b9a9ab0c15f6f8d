"""Doing: sockets, clocks and disks. Everything below this layer only decides."""

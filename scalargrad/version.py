"""The version, on the lowest floor, so that every room can state it."""

VERSION = "0.1.0"

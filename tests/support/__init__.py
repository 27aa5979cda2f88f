"""What several test files share: a server as a process of its own, and a client that speaks raw bytes."""

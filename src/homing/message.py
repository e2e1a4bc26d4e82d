"""A consumed message: what it holds, and how it is settled."""


class Message:
    """One message in the hands of its consumer."""

"""Types of the native module `http`."""

class ServerRules:
    silence_ms: int
    send_timeout_ms: int
    def __init__(
        self,
        *,
        head_bytes: int = ...,
        fields: int = ...,
        body_bytes: int = ...,
        extension_bytes: int = ...,
        trailer_bytes: int = ...,
        silence: float = ...,
        send_timeout: float = ...,
    ) -> None: ...

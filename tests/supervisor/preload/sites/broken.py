"""An application that cannot be imported."""

raise KeyError("DATABASE_URL")

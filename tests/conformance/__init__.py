"""What a server of the Assistants API must do, as data; what comes of it is docs/conformance.md."""

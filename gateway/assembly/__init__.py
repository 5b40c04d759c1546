"""The composition root in parts: settings in, rooms put together; nothing here decides."""

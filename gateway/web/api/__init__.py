"""The management API: routes for programs, with an API key. Every route is one operation of its own."""

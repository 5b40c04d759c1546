"""From a document that describes an API (OpenAPI 2.0, 3.0, 3.1) to the text of a connector's definition. Pure.

``document`` reads, ``operations`` names and chooses, ``schemas`` and ``requests`` translate, ``writing`` writes, and
``compiling`` puts them together. Nothing in a document is trusted: not what it says about credentials, not the hosts it
sends to, not its patterns, and no text of it beyond a length.
"""

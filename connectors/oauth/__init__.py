"""The legs of OAuth 2: sending a person to a platform, taking him back, and getting, renewing and ending tokens.

The only room that knows Authlib and httpx2. It keeps nothing: whoever calls stores what comes back.
"""

"""What a connector file says: one platform as data. Pure; nothing here opens a connection."""

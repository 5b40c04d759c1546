"""The pages that people see: signing in, connecting an account, their connections. Server-rendered, without script."""

"""Actions of a definition as tools: arguments to a request, an answer to a result."""

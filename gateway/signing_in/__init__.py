"""How a person proves at a browser who he is: by his API key, by a code that is mailed, by the operator's provider."""

"""What users make at run time: tools that wrap others, and prompts. It decides nothing, and calls nothing."""

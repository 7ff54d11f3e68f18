"""The widget that lists models, their cards and where they come from."""

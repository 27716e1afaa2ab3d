"""Integers and bits under frequency tables that learn, with the scales of rows and columns as context."""

"""Areas: from one tile to a country, with no seams, no duplicates and no silent holes."""

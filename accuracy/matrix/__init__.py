"""`make matrix`: every planted flaw and every sabotage must turn its cell and no stray one. Nothing of the product is hooked."""

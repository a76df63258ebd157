"""How often the judge cries wolf, on runs without faults under placebos and on healthy runs with all faults."""

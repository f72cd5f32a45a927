"""Training: from a recipe and a data split to a trained, checked and exported model."""

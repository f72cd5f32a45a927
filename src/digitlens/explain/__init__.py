"""Evidence for predictions, and measurements of trained models; ``visualization`` draws them."""

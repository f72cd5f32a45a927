"""Networks as ONNX graphs: what they take, what they give."""

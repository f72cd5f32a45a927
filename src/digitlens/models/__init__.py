"""Networks as ONNX graphs: loading, checking and running them."""

"""What knows ONNX graphs: writing one of a program, and its layers as a runtime runs them."""

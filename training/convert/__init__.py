"""Fetch the published models, convert them to ONNX, check them against their original runtime."""

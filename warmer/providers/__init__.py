"""How a beat becomes a prediction at a host of models."""

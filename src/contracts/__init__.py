"""What the services share and nothing else: order models, step signatures, errors, the service registry."""

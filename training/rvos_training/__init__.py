"""Training of MTTR, the network that rvos runs: model, losses, generated data, recipes, export."""

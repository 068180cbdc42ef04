"""What sensors will measure: a spatio-temporal graph neural network, and what it is compared with."""

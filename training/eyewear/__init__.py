"""The reader of glasses: labels, network, training and export."""

"""SR drafts, the inputs of the networks, and the training patches cut from them."""

"""Linear methods: the initialisation of networks, and their baseline."""

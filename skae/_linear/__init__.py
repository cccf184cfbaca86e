"""Linear methods: the start of a network and its baseline."""

"""Where and how traces are analysed: one or many, in processes, in clusters, from caches."""

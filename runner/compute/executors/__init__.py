"""Who runs calls: this process, threads, processes, a cluster."""

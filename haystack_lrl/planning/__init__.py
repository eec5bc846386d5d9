"""What a run at scale will take: hours, disk, memory, shards and nodes, from measured rates and published formulas."""
